package sshd

import (
	"bytes"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/internal/fault"
)

const (
	// outbox is how many texts wait for the client to read.
	outbox = 64
	// stdin is how many bytes of what the user types are looked at at once.
	stdin = 1 << 10
)

// session is the channel on which a client's user gives the command and sees what became of it.
type session struct {
	ch  ssh.Channel
	out chan message
	pty atomic.Bool // a terminal shows it
}

// message is a text for the user.
type message struct {
	text string
	bad  bool // for standard error
	// exit says that it is the last one, and status what the client's program ends with.
	exit   bool
	status uint32
}

// tell queues a message. It reports whether there was room.
func (s *session) tell(m message) bool {
	select {
	case s.out <- m:
		return true
	default:
		return false
	}
}

// takeChannels opens the one session that a client may have.
func (c *conn) takeChannels() {
	for n := range c.chans {
		if n.ChannelType() != "session" {
			_ = n.Reject(ssh.Prohibited, "only sessions can be opened here")
			continue
		}
		s := &session{out: make(chan message, outbox)}
		c.mu.Lock()
		first := c.sess == nil
		if first {
			c.sess = s
		}
		c.mu.Unlock()
		if !first {
			_ = n.Reject(ssh.Prohibited, fault.New(fault.SSHMultiplexed).Error())
			continue
		}
		ch, reqs, err := n.Accept()
		if err != nil {
			continue // the connection has ended
		}
		s.ch = ch
		c.tasks.Go(func() { c.write(s) })
		c.tasks.Go(func() { c.listen(s) })
		c.tasks.Go(func() { c.serveSession(s, reqs) })
	}
}

// serveSession answers the requests of the session.
func (c *conn) serveSession(s *session, reqs <-chan *ssh.Request) {
	c.mu.Lock()
	told := c.told
	c.told = nil
	c.mu.Unlock()
	for _, line := range told {
		s.tell(message{text: line})
	}
	begun := false
	for req := range reqs {
		switch req.Type {
		case "pty-req":
			s.pty.Store(true)
			reply(req, true, nil)
		case "exec", "shell":
			reply(req, !begun, nil)
			if !begun {
				begun = true
				c.begin(s, req)
			}
		case "signal":
			reply(req, true, nil)
			c.end("", 0)
		default:
			reply(req, req.Type == "window-change", nil)
		}
	}
	_ = c.ssh.Close() // the client has closed the session
}

// begin takes the command.
func (c *conn) begin(s *session, req *ssh.Request) {
	var exec struct{ Command string }
	if req.Type == "exec" {
		if err := ssh.Unmarshal(req.Payload, &exec); err != nil {
			c.fail(fault.Wrap(err, fault.SSHCommandInvalid, "it cannot be read", httpVerb))
			return
		}
	}
	select {
	case <-c.commanded: // by the user's name
		if exec.Command != "" {
			c.fail(fault.New(fault.SSHCommandInvalid, "it is given twice", httpVerb))
		}
		return
	default:
	}
	cmd, err := parse(exec.Command)
	switch {
	case err != nil:
		c.fail(fault.From(err))
	case cmd.help:
		s.tell(message{text: cmd.usage()})
		c.end("", 0)
	default:
		c.cmd = cmd
		close(c.commanded)
	}
}

// listen waits for the user of a terminal to press Ctrl+C or Ctrl+D, which the client then does not act on by
// itself. The end of other input means nothing.
func (c *conn) listen(s *session) {
	buf := make([]byte, stdin)
	for {
		n, err := s.ch.Read(buf)
		if s.pty.Load() && bytes.ContainsAny(buf[:n], "\x03\x04") {
			c.end("", 0)
		}
		if err != nil {
			return
		}
	}
}

// write shows messages to the user until the last one, or the end of the connection.
func (c *conn) write(s *session) {
	for {
		var m message
		select {
		case m = <-s.out:
		case <-c.ctx.Done():
			return
		}
		if s.pty.Load() {
			m.text = strings.ReplaceAll(m.text, "\n", "\r\n")
		}
		var err error
		if m.bad {
			_, err = s.ch.Stderr().Write([]byte(m.text))
		} else {
			_, err = s.ch.Write([]byte(m.text))
		}
		if m.exit && err == nil {
			status := struct{ Status uint32 }{m.status}
			_, _ = s.ch.SendRequest("exit-status", false, ssh.Marshal(&status)) // what fails ends the connection
			_ = s.ch.Close()
		}
		if m.exit || err != nil {
			return
		}
	}
}
