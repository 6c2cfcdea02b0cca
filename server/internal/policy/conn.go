package policy

// Fresh returns the facts of the connection alone: for the policy of another
// endpoint, which does not see what that of the first one did.
func (c *Conn) Fresh() *Conn {
	fresh := *c
	fresh.Terminate, fresh.Target, fresh.Logs, fresh.Disclosed, fresh.results = nil, nil, nil, nil, nil
	return &fresh
}
