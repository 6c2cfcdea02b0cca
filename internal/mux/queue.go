package mux

import (
	"slices"
	"sync"

	"github.com/culvert-project/culvert/internal/mux/frame"
)

const (
	// quantum is what a stream may add to each flush while others are active:
	// one frame. What it does not use it may add to the next one.
	quantum = frame.MaxSend
	// shortWrite is the longest write that goes ahead of bulk data when the
	// output is full: heartbeats, requests, the head of a response.
	shortWrite = 2 << 10
	// shortShare bounds what of one flush goes ahead of bulk data.
	shortShare = highWater / 4
)

// queue holds the streams whose writes wait for room, in the order in which
// they came. While several are active, each gets one quantum of a flush, so
// that bulk streams have equal shares whatever the size and timing of their
// writes. Short writes go first, up to shortShare, so that they wait for a
// flush or two however many streams send bulk data. Guarded by output.mu.
type queue struct {
	short, long []*Stream
}

// pending is the write of one stream that waits for room, and its share of the
// flush that is being filled. Guarded by output.mu.
type pending struct {
	payload []byte // what is not sent yet
	queued  bool
	err     error // why it was dropped
	done    sync.Cond

	flush     uint64 // newest one for which it got its quantum
	allowance int    // bytes that may still be added to it
}

func (q *queue) empty() bool { return len(q.short) == 0 && len(q.long) == 0 }

func (q *queue) add(st *Stream) {
	st.pending.queued = true
	if len(st.pending.payload) <= shortWrite {
		q.short = append(q.short, st)
		return
	}
	q.long = append(q.long, st)
}

func (q *queue) remove(st *Stream) {
	st.pending.queued = false
	same := func(other *Stream) bool { return other == st }
	q.short = slices.DeleteFunc(q.short, same)
	q.long = slices.DeleteFunc(q.long, same)
}

// wake lets all writers see that there will be no room.
func (q *queue) wake() {
	for _, list := range [2][]*Stream{q.short, q.long} {
		for _, st := range list {
			st.pending.done.Signal()
		}
	}
}

// send appends p to the stream's data and flushes. It waits for room, the
// stream's write deadline and the end of the session, and returns how many
// bytes were appended.
func (o *output) send(st *Stream, p []byte) (n int, err error) {
	o.mu.Lock()
	for n < len(p) && err == nil && o.queue.empty() && o.room(st) {
		var m int
		m, err = o.appendData(st, p[n:])
		n += m
	}
	if err != nil || n == len(p) {
		o.flush()
		return n, err
	}
	st.pending.payload, st.pending.err = p[n:], nil
	o.queue.add(st)
	o.flush()
	left, err := o.await(st)
	return len(p) - left, err
}

// sendLast appends p, of at most shortWrite bytes, and the FIN of the stream and
// flushes, if there is room for p now. It reports whether it has.
func (o *output) sendLast(st *Stream, p []byte) bool {
	o.mu.Lock()
	if o.closed || st.sendDone.Load() || !o.queue.empty() || !o.room(st) {
		o.mu.Unlock()
		return false
	}
	_, err := o.appendData(st, p) // all of p: with the longest head it fits into a frame
	if err == nil {
		err = o.append(st, frame.FIN, nil)
	}
	if err == nil {
		st.sendDone.Store(true)
	}
	o.flush()
	return err == nil
}

// room reports whether the stream may add a frame to the next flush. Called
// with mu held.
func (o *output) room(st *Stream) bool {
	w := &st.pending
	if w.flush != o.flushes {
		passed := min(o.flushes-w.flush, 2)
		w.flush = o.flushes
		w.allowance = min(w.allowance+int(passed)*quantum, 2*quantum) //nolint:gosec // 1 or 2
	}
	return len(o.data) < highWater && (!o.crowded || w.allowance > 0)
}

// await waits until the stream's queued write has found room, and returns how
// many bytes of it have not.
func (o *output) await(st *Stream) (left int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := &st.pending
	for w.queued {
		if o.closed {
			err = o.session.Err()
		} else {
			err = st.writeStopped()
		}
		if err != nil {
			o.queue.remove(st)
			w.err = err
			break
		}
		w.done.Wait()
	}
	left, err = len(w.payload), w.err
	w.payload = nil
	return left, err
}

// admit moves queued writes into the buffer as far as there is room. Called
// with mu held.
func (o *output) admit() {
	o.crowded = o.crowded || len(o.queue.short)+len(o.queue.long) > 1
	for i := 0; i < len(o.queue.short) && len(o.data) < shortShare; i++ {
		o.admitFrame(o.queue.short[i])
	}
	o.queue.short = admitted(o.queue.short)
	// Who is not done goes to the end. Who had a turn has none left, which is
	// when the round is over.
	for range o.queue.long {
		st := o.queue.long[0]
		if len(o.data) >= highWater {
			break
		}
		o.queue.long = o.queue.long[1:]
		for o.room(st) && !o.admitFrame(st) {
		}
		if st.pending.queued {
			o.queue.long = append(o.queue.long, st)
		}
	}
	if len(o.queue.long) == 0 {
		o.queue.long = nil
	}
}

// admitted removes those from a list that are not queued any more.
func admitted(list []*Stream) []*Stream {
	list = slices.DeleteFunc(list, func(st *Stream) bool { return !st.pending.queued })
	if len(list) == 0 {
		return nil
	}
	return list
}

// admitFrame moves one frame of a queued write into the buffer and reports
// whether the write is done with. Called with mu held.
func (o *output) admitFrame(st *Stream) bool {
	w := &st.pending
	n, err := o.appendData(st, w.payload)
	w.payload, w.err = w.payload[n:], err
	if len(w.payload) > 0 && err == nil {
		return false
	}
	w.queued = false
	w.done.Signal()
	return true
}

// wake lets a queued write look at its deadline and its stream again.
func (o *output) wake(st *Stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if st.pending.queued {
		st.pending.done.Signal()
	}
}

// appendData adds one DATA frame with as much of p as fits into it, and
// returns how much that is. Called with mu held.
func (o *output) appendData(st *Stream, p []byte) (int, error) {
	n := min(len(p), frame.MaxSend-len(st.head))
	if err := o.append(st, 0, p[:n]); err != nil {
		return 0, err
	}
	st.pending.allowance = max(st.pending.allowance-n, -quantum)
	return n, nil
}
