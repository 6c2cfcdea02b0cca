package logs

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// handler is the slog.Handler of all three formats. Copies made by WithAttrs
// and WithGroup share the writer and its lock.
type handler struct {
	out    *output
	level  slog.Leveler
	format Format
	// colours is for Term alone.
	colours bool
	group   string // "" or "name." for every open group
	obj     slog.Value
	pairs   []pair
}

// output is a writer that takes one line at a time.
type output struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

func (o *output) write(b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := o.w.Write(b)
	return err
}

// NewHandler returns a handler that writes lines of the given format and
// severity to w, without colours.
func NewHandler(w io.Writer, format Format, level slog.Leveler) slog.Handler {
	return &handler{out: &output{w: w}, level: level, format: format}
}

// Enabled reports whether records of level l are written.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle writes one record as one line.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	next := h.clone()
	r.Attrs(func(a slog.Attr) bool {
		next.add(h.group, a)
		return true
	})
	l := line{at: r.Time, level: r.Level, msg: r.Message, pairs: next.pairs}
	if l.at.IsZero() {
		l.at = time.Now()
	}
	if next.obj.Kind() != slog.KindAny || next.obj.Any() != nil {
		l.pairs = slices.Insert(l.pairs, 0, pair{key: "obj", value: next.obj})
	}
	b := make([]byte, 0, 256)
	switch h.format {
	case JSON:
		b = l.appendJSON(b)
	case Term:
		b = l.appendTerm(b, h.colours)
	default:
		b = l.appendLogfmt(b)
	}
	return h.out.write(b)
}

// WithAttrs returns a handler whose lines also carry attrs.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := h.clone()
	for _, a := range attrs {
		next.add(h.group, a)
	}
	return next
}

// WithGroup returns a handler whose further keys are prefixed "name.".
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := h.clone()
	next.group = h.group + name + "."
	return next
}

func (h *handler) clone() *handler {
	next := *h
	next.pairs = slices.Clip(h.pairs)
	return &next
}

// add appends one attribute: groups are flattened, obj is kept apart so that it
// stands first, a key that is already there is replaced.
func (h *handler) add(prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, sub := range v.Group() {
			h.add(prefix, sub)
		}
		return
	}
	if a.Key == "" {
		return
	}
	key := prefix + a.Key
	if key == "obj" {
		h.obj = v
		return
	}
	v = redact(key, v)
	if i := slices.IndexFunc(h.pairs, func(p pair) bool { return p.key == key }); i >= 0 {
		h.pairs = slices.Clone(h.pairs)
		h.pairs[i].value = v
		return
	}
	h.pairs = append(h.pairs, pair{key: key, value: v})
}
