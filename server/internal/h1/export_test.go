package h1

// Served returns how many responses ended well on this connection.
func (c *Conn) Served() int { return c.served }
