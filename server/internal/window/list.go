package window

// list holds entries by when they were last asked for, the latest first.
type list struct{ first, last *entry }

func (l *list) push(e *entry) {
	e.prev, e.next = nil, l.first
	if l.first != nil {
		l.first.prev = e
	} else {
		l.last = e
	}
	l.first = e
}

func (l *list) remove(e *entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
}

func (l *list) front(e *entry) {
	if l.first != e {
		l.remove(e)
		l.push(e)
	}
}
