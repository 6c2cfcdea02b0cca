package edge

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// parseRecord reads the record that our agent sends instead of a response.
func parseRecord(b []byte) (err error, more bool) { //nolint:revive // the shape that h1.Config.Foreign asks for
	f, _, err := wire.ParseFault(b)
	switch {
	case err == nil:
		return f, false
	case errors.Is(err, wire.ErrNeedMore):
		return nil, true
	}
	return nil, false
}

// recordConn looks whether a connection begins with the record that our agent
// sends when it cannot reach its upstream.
type recordConn struct {
	net.Conn

	fault atomic.Pointer[fault.Error] // what the record says

	mu      sync.Mutex // held while looking, which may take long
	decided bool
	head    []byte // read while looking and not handed out
	err     error  // that ended looking
}

// recordWait is how long a failed write waits for the record that may explain
// it.
const recordWait = time.Second

// Read reads from the connection. A record is its end.
func (c *recordConn) Read(p []byte) (int, error) {
	if n, err := c.looked(p); n > 0 || err != nil {
		return n, err
	}
	return c.Conn.Read(p)
}

// looked returns what came of looking: bytes to hand out, or the end.
func (c *recordConn) looked(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decide()
	if f := c.fault.Load(); f != nil {
		return 0, f
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return 0, c.err
}

// decide reads until it is clear whether a record has come.
func (c *recordConn) decide() {
	if c.decided {
		return
	}
	b := make([]byte, wire.MaxFaultRecord)
	n := 0
	for !c.decided {
		m, err := c.Conn.Read(b[n:])
		n += m
		f, _, perr := wire.ParseFault(b[:n])
		if c.err = err; perr == nil {
			c.fault.Store(f)
		}
		c.decided = !errors.Is(perr, wire.ErrNeedMore) || err != nil || n == len(b)
	}
	c.head = b[:n:n]
}

// Write writes to the connection. If it fails, the agent may have said why.
func (c *recordConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err == nil {
		return n, nil
	}
	_ = c.Conn.SetReadDeadline(time.Now().Add(recordWait)) // bounds a Read under way too
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decide()
	if f := c.fault.Load(); f != nil {
		err = f
	}
	return n, err
}

// explain replaces the error of an exchange by the fault that the agent
// reported, if it did.
func (c *recordConn) explain(err error) error {
	if f := c.fault.Load(); f != nil {
		return f
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Wrap(err, fault.UpstreamInvalid, "the connection ended before an answer")
	}
	return err
}
