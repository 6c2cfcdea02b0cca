package wire

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
)

// Heartbeat defaults and the bounds that the server clamps announced values
// to (agent-protocol.md 4 and 16).
const (
	// DefaultHeartbeatInterval and DefaultHeartbeatTolerance are what all SDKs
	// announce unless told otherwise.
	DefaultHeartbeatInterval  = 10 * time.Second
	DefaultHeartbeatTolerance = 15 * time.Second

	minHeartbeat  = time.Second
	maxHeartbeat  = 10 * time.Minute
	silenceMargin = time.Second
)

// ErrHeartbeatLost says that the other side has stopped echoing, or has been
// silent for too long.
var ErrHeartbeatLost = errors.New("heartbeat lost")

// beatLen is the number of bytes of one beat.
const beatLen = 4

// Heartbeat opens a heartbeat stream and beats on it, the first time at once,
// then every interval. It calls beat, which may be nil, with the round trip
// time of every echo. It returns [ErrHeartbeatLost] once the last echo is
// older than interval plus tolerance, another error if the stream fails, and
// the cause of ctx when that ends. Durations that are not positive are
// replaced by the defaults. It is to be called once per session, by the agent.
func (p *Peer) Heartbeat(ctx context.Context, interval, tolerance time.Duration, beat func(rtt time.Duration)) error {
	if interval <= 0 {
		interval = DefaultHeartbeatInterval
	}
	if tolerance <= 0 {
		tolerance = DefaultHeartbeatTolerance
	}
	var st *mux.Stream
	last := time.Now()
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		sent := time.Now()
		word, echo := newBeat(), [beatLen]byte{}
		var err error
		if st == nil {
			head := binary.BigEndian.AppendUint32(nil, uint32(TypeHeartbeat))
			if st, err = p.s.Open(ctx, append(head, word[:]...)); err != nil {
				return fmt.Errorf("heartbeat: open stream: %w", err)
			}
			// The stream is never half-closed: some responders spin then (H6).
			defer st.Reset(frame.StreamCancelled)
			defer context.AfterFunc(ctx, func() { st.SetDeadline(time.Unix(1, 0)) })()
			st.SetDeadline(last.Add(interval + tolerance))
		} else {
			st.SetDeadline(last.Add(interval + tolerance))
			if ctx.Err() == nil {
				_, err = st.Write(word[:])
			}
		}
		if err == nil && ctx.Err() == nil {
			_, err = io.ReadFull(st, echo[:])
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%w: no echo within %v", ErrHeartbeatLost, interval+tolerance)
		case err != nil:
			return fmt.Errorf("heartbeat: %w", err)
		case echo != word:
			return fmt.Errorf("heartbeat: echo differs from the beat")
		}
		last = time.Now()
		if beat != nil {
			beat(last.Sub(sent))
		}
		timer.Reset(max(0, interval-last.Sub(sent)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.s.Done():
			return fmt.Errorf("heartbeat: %w", p.s.Err())
		}
	}
}

func newBeat() (b [beatLen]byte) {
	rand.Read(b[:]) // never fails
	return b
}

// heartbeat has the session echo until it ends, or the other side ends its
// half: a responder that ends must not leave a half-closed stream behind (H6).
func (sv *server) heartbeat(st *mux.Stream) {
	if sv.beats.Add(1) > maxHeartbeats {
		sv.beats.Add(-1)
		st.Reset(frame.EnhanceYourCalm)
		return
	}
	st.SetReadDeadline(time.Time{})
	st.Echo(func() { sv.beats.Add(-1) })
}

// SilenceLimit returns how long a session may send nothing before the server
// ends it, from the durations that its agent announced: both together plus a
// margin. Zero stands for the defaults and extremes are clamped, since
// refusing them would only make the agent try again.
func SilenceLimit(interval, tolerance time.Duration) time.Duration {
	if interval <= 0 {
		interval = DefaultHeartbeatInterval
	}
	if tolerance <= 0 {
		tolerance = DefaultHeartbeatTolerance
	}
	clamp := func(d time.Duration) time.Duration { return min(max(d, minHeartbeat), maxHeartbeat) }
	return clamp(interval) + clamp(tolerance) + silenceMargin
}
