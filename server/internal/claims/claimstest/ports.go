package claimstest

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// Ports is a machine's TCP ports. Make them with [NewPorts].
type Ports struct {
	mu   sync.Mutex
	busy map[uint16]bool // those of other programs
	open map[uint16]bool
	errs []string // what must never happen
	// FDs is how many ports may be open, 0 for any number. It is set before the first use.
	FDs int
}

// NewPorts returns the ports of a machine where other programs have some.
func NewPorts(busy ...uint16) *Ports {
	p := &Ports{busy: map[uint16]bool{}, open: map[uint16]bool{}}
	for _, b := range busy {
		p.busy[b] = true
	}
	return p
}

// Claim implements claims.Ports.
func (p *Ports) Claim(port uint16) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[port] {
		p.errs = append(p.errs, fmt.Sprintf("port %d opened twice", port))
	}
	if p.busy[port] {
		return &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	if p.FDs > 0 && len(p.open) >= p.FDs {
		return &net.OpError{Op: "listen", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	}
	p.open[port] = true
	return nil
}

// Release implements claims.Ports.
func (p *Ports) Release(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open[port] {
		p.errs = append(p.errs, fmt.Sprintf("port %d closed but not open", port))
	}
	delete(p.open, port)
}

// Opened returns the open ports and fails the test if they were ever used wrongly.
func (p *Ports) Opened(t *testing.T) []uint16 {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.errs {
		t.Error(e)
	}
	return slices.Sorted(maps.Keys(p.open))
}

// Free has another program give a port back.
func (p *Ports) Free(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, port)
}
