package reliability

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

// Direction says which bytes a fault of a [Link] is for.
type Direction int

// Bytes go up from the side that dialled to the other one, and down back.
const (
	Up Direction = iota
	Down
)

// Conditions are how a [Link] treats bytes. The zero value lets them pass as
// they come.
type Conditions struct {
	// Latency is how long bytes take, one way, and Jitter how much more or less
	// it may be. Order is kept.
	Latency, Jitter time.Duration
	// Rate is how many bytes pass in a second, in each direction of each
	// connection. 0 means any number.
	Rate int
	// Slice is how many bytes are written at once, 0 for as many as there are.
	Slice int
	// Gather is how long bytes are collected to be written as one.
	Gather time.Duration
}

// Link is a network between two parties that can go wrong: a listener whose
// connections lead to another address. Make one with [NewLink].
type Link struct {
	net Network
	ln  net.Listener
	to  string
	wg  sync.WaitGroup

	mu     sync.Mutex
	cond   Conditions // guarded by mu, as is all below
	open   [2]chan struct{}
	down   bool
	closed bool
	lines  map[*line]struct{}
	dials  []time.Time
}

// line is one connection through a link.
type line struct {
	link      *Link
	near, far net.Conn
	cut       chan struct{} // closed when it is cut
	once      sync.Once
	flip      [2]bool // guarded by Link.mu
}

// NewLink starts a link to the given address. It ends with Close.
func NewLink(n Network, to string) (*Link, error) {
	ln, err := n.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{net: n, ln: ln, to: to, lines: map[*line]struct{}{}}
	for d := range l.open {
		l.open[d] = make(chan struct{})
		close(l.open[d])
	}
	l.wg.Go(l.accept)
	return l, nil
}

// Addr is where the link listens, host:port.
func (l *Link) Addr() string { return l.ln.Addr().String() }

// Set changes the conditions for all bytes that are read from now on.
func (l *Link) Set(c Conditions) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cond = c
}

// Silence lets no byte pass in the given directions, and closes nothing: the
// other end sees what it would of a cable that was pulled.
func (l *Link) Silence(dirs ...Direction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range dirs {
		if isClosed(l.open[d]) {
			l.open[d] = make(chan struct{})
		}
	}
}

// Heal ends silence, and lets connections come up again after [Link.Down].
func (l *Link) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
	for _, o := range l.open {
		if !isClosed(o) {
			close(o)
		}
	}
}

// Cut resets every connection. New ones come up.
func (l *Link) Cut() {
	for _, w := range l.all() {
		w.reset()
	}
}

// Down resets every connection, and each new one at once, until [Link.Heal].
func (l *Link) Down() {
	l.mu.Lock()
	l.down = true
	l.mu.Unlock()
	l.Cut()
}

// Flip inverts one bit of what next passes in the given direction of every
// connection.
func (l *Link) Flip(d Direction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.lines {
		w.flip[d] = true
	}
}

// Dials returns when connections were dialled, refused ones included.
func (l *Link) Dials() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]time.Time(nil), l.dials...)
}

// Close ends the link and all connections, and waits until nothing is left of
// them.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.ln.Close() // what matters is that accept returns
	l.Heal()
	l.Cut()
	l.wg.Wait()
}

func (l *Link) all() []*line {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*line, 0, len(l.lines))
	for w := range l.lines {
		all = append(all, w)
	}
	return all
}

func (l *Link) accept() {
	for {
		near, err := l.ln.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		l.dials = append(l.dials, time.Now())
		down := l.down || l.closed
		l.mu.Unlock()
		if down {
			reset(near)
			continue
		}
		l.wg.Go(func() { l.join(near) })
	}
}

func (l *Link) join(near net.Conn) {
	far, err := l.net.DialContext(context.Background(), "tcp", l.to)
	if err != nil {
		reset(near)
		return
	}
	w := &line{link: l, near: near, far: far, cut: make(chan struct{})}
	l.mu.Lock()
	l.lines[w] = struct{}{}
	late := l.down || l.closed
	l.mu.Unlock()
	if late {
		w.reset()
	}
	var both sync.WaitGroup
	both.Go(func() { w.pump(Up, far, near) })
	both.Go(func() { w.pump(Down, near, far) })
	both.Wait()
	_ = near.Close()
	_ = far.Close()
	l.mu.Lock()
	delete(l.lines, w)
	l.mu.Unlock()
}

// reset cuts the connection on both sides.
func (w *line) reset() {
	w.once.Do(func() { close(w.cut) })
	reset(w.near)
	reset(w.far)
}

// reset closes a connection with RST, where there is such a thing.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // fails if it is closed, which is as good
	}
	_ = c.Close()
}

// piece is what was read at once, and when it is to arrive.
type piece struct {
	data []byte
	due  time.Time
}

// onTheWay is how many pieces may be between the two ends of a wire.
const onTheWay = 512

// pump carries the bytes of one direction.
func (w *line) pump(d Direction, to, from net.Conn) {
	way := make(chan piece, onTheWay)
	var wg sync.WaitGroup
	wg.Go(func() { w.deliver(d, to, way) })
	err := w.collect(from, way)
	close(way)
	wg.Wait()
	switch {
	case errors.Is(err, io.EOF):
		_ = netx.CloseWrite(to) // it may have gone meanwhile
	default:
		w.reset()
	}
}

// collect reads until the end of from.
func (w *line) collect(from net.Conn, way chan<- piece) error {
	var last time.Time
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		if n > 0 {
			c := w.link.conditions()
			due := time.Now().Add(c.Latency + jitter(c.Jitter))
			if due.Before(last) {
				due = last
			}
			last = due
			select {
			case way <- piece{buf[:n], due}:
			case <-w.cut:
				return net.ErrClosed
			}
		}
		if err != nil {
			return err
		}
	}
}

// deliver writes what has been collected. It goes on taking pieces when it can
// no longer write them.
func (w *line) deliver(d Direction, to net.Conn, way <-chan piece) {
	var free time.Time // when the line is free again
	broken := false
	for p := range way {
		if broken || !w.pause(time.Until(p.due)) {
			broken = true
			continue
		}
		c := w.link.conditions()
		if c.Gather > 0 && w.pause(c.Gather) {
			p.data = gather(p.data, way)
		}
		if !w.passable(d) || !w.write(d, to, p.data, c, &free) {
			broken = true
			w.reset()
		}
	}
}

func (w *line) write(d Direction, to net.Conn, data []byte, c Conditions, free *time.Time) bool {
	if w.flips(d) {
		data[len(data)/2] ^= 0x10
	}
	step := len(data)
	if c.Rate > 0 {
		step = max(1, min(step, c.Rate/100))
	}
	if c.Slice > 0 {
		step = min(step, c.Slice)
	}
	for len(data) > 0 {
		n := min(step, len(data))
		if c.Rate > 0 {
			now := time.Now()
			if free.Before(now) {
				*free = now
			}
			*free = free.Add(time.Duration(n) * time.Second / time.Duration(c.Rate))
			if !w.pause(time.Until(*free)) {
				return false
			}
		}
		if _, err := to.Write(data[:n]); err != nil {
			return false
		}
		data = data[n:]
	}
	return true
}

// gather appends what has arrived meanwhile.
func gather(data []byte, way <-chan piece) []byte {
	for {
		select {
		case p, ok := <-way:
			if !ok {
				return data
			}
			data = append(data, p.data...)
		default:
			return data
		}
	}
}

// passable waits until bytes pass in direction d. It reports false if the wire
// is cut first.
func (w *line) passable(d Direction) bool {
	w.link.mu.Lock()
	open := w.link.open[d]
	w.link.mu.Unlock()
	select {
	case <-open:
		return true
	case <-w.cut:
		return false
	}
}

func (w *line) flips(d Direction) bool {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	f := w.flip[d]
	w.flip[d] = false
	return f
}

// pause waits, and reports false if the wire is cut meanwhile.
func (w *line) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.cut:
		return false
	}
}

func (l *Link) conditions() Conditions {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cond
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
