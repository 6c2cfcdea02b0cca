package mux

import (
	"slices"
	"sync"

	"github.com/culvert-project/culvert/internal/mux/frame"
)

const (
	// shortWrite is the longest write that goes ahead of bulk data when the
	// output is full: heartbeats, requests, the head of a response.
	shortWrite = 2 << 10
	// shortShare bounds what of one flush goes ahead of bulk data.
	shortShare = highWater / 4
)

// queue holds the streams whose writes wait for room, in the order in which
// they get it. Long writes get one frame at a time, which makes their shares
// equal. Short ones go first, but only once for each flush and only up to
// shortShare, so that they cannot starve the others. Guarded by output.mu.
type queue struct {
	short, long []*Stream
}

// pending is the write of one stream that waits for room. Guarded by
// output.mu.
type pending struct {
	payload []byte // what is not sent yet
	queued  bool
	err     error // why it was dropped
	done    sync.Cond
}

func (q *queue) empty() bool { return len(q.short) == 0 && len(q.long) == 0 }

func (q *queue) add(st *Stream) {
	if len(st.pending.payload) <= shortWrite {
		q.short = append(q.short, st)
		return
	}
	q.long = append(q.long, st)
}

func (q *queue) remove(st *Stream) {
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

// pop takes the first stream off a list, and frees the list when it is empty.
func pop(list *[]*Stream) *Stream {
	st := (*list)[0]
	(*list)[0] = nil
	if *list = (*list)[1:]; len(*list) == 0 {
		*list = nil
	}
	return st
}

// send appends p to the stream's data and flushes. It waits for room, the
// stream's write deadline and the end of the session, and returns how many
// bytes were appended.
func (o *output) send(st *Stream, p []byte) (n int, err error) {
	o.mu.Lock()
	if o.queue.empty() {
		for n < len(p) && err == nil && len(o.data) < highWater {
			var m int
			m, err = o.appendData(st, p[n:])
			n += m
		}
	}
	if err != nil || n == len(p) {
		o.flush()
		return n, err
	}
	w := &st.pending
	w.payload, w.queued, w.err = p[n:], true, nil
	o.queue.add(st)
	o.flush()
	left, err := o.await(st)
	return len(p) - left, err
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
			w.queued, w.err = false, err
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
	for len(o.queue.short) > 0 && len(o.data) < shortShare {
		o.admitFrame(pop(&o.queue.short))
	}
	for len(o.queue.long) > 0 && len(o.data) < highWater {
		if st := pop(&o.queue.long); !o.admitFrame(st) {
			o.queue.long = append(o.queue.long, st)
		}
	}
}

// admitFrame moves one frame of a queued write into the buffer and reports
// whether that was all of it. Called with mu held.
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
	return n, nil
}
