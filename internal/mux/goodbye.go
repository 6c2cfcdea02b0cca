package mux

import (
	"io"
	"time"

	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

const (
	// lingerLimit and lingerBytes bound how long and how much we still read,
	// and drop, from a peer that was told of the end. Closing the transport with
	// input unread resets it, which may cost the peer our last frame.
	lingerLimit = 500 * time.Millisecond
	lingerBytes = 8 << 20
)

// goodbye tells the peer of the end, where there is one that listens. Called
// once, by who has ended the session.
func (s *Session) goodbye(cause *SessionError) {
	if !cause.lost() {
		s.mu.Lock()
		lastPeer := s.lastPeer
		s.mu.Unlock()
		s.polite = s.out.finale(frame.AppendGoAway(nil, frame.GoAwayMessage{
			LastStream: lastPeer, Code: cause.Code, Debug: cause.Code.String(),
		}))
	}
	close(s.released)
}

// linger reads what the peer has sent until it has heard of the end, and drops
// it, in bounds that cost next to nothing. Called by Run.
func (s *Session) linger() {
	if !s.polite {
		return
	}
	var c io.Reader = netx.Innermost(s.conn)
	if s.in.batch != nil {
		c = s.in.batch // has read ahead
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(lingerLimit))
	buf := middleChunks.Get().(*[middleChunk]byte)
	defer middleChunks.Put(buf)
	for left := lingerBytes; left > 0; {
		n, err := c.Read(buf[:])
		if err != nil {
			return
		}
		left -= n
	}
}
