package meter

// Entries returns how many counters are in the books.
func Entries(m *Meters) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}
