package policy

// OnUpstream has f told what became of the upstream, once: the status of its
// answer when the head has arrived, or the error if there is no usable answer.
// A status of 0 without an error means that the upstream was not asked, since
// something else answered or the client went away.
func (x *Exchange) OnUpstream(f func(status int, err error)) { x.waiting = append(x.waiting, f) }

// UpstreamDone tells those who wait what became of the upstream. Whoever
// forwards the exchange calls it with the answer's status or the error, and
// whoever ends an exchange calls it with (0, nil), which reaches only those who
// have not been told yet.
func (x *Exchange) UpstreamDone(status int, err error) {
	waiting := x.waiting
	x.waiting = nil
	for _, f := range waiting {
		f(status, err)
	}
}
