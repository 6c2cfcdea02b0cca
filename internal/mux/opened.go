package mux

// NumOpened returns how many streams of our own are open, unsent ones included.
func (s *Session) NumOpened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}
