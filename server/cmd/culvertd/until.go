package main

import (
	"context"
	"log/slog"
)

// until is a log handler that drops everything once over is closed. The built-in
// agent of culvertd dev outlives the server; that it looks for it then is no
// news to whoever has stopped both.
type until struct {
	slog.Handler

	over <-chan struct{}
}

// Enabled reports whether a record of this level would be written now.
func (u until) Enabled(ctx context.Context, l slog.Level) bool {
	select {
	case <-u.over:
		return false
	default:
		return u.Handler.Enabled(ctx, l)
	}
}

// WithAttrs returns a handler that ends with this one.
func (u until) WithAttrs(attrs []slog.Attr) slog.Handler {
	return until{u.Handler.WithAttrs(attrs), u.over}
}

// WithGroup returns a handler that ends with this one.
func (u until) WithGroup(name string) slog.Handler { return until{u.Handler.WithGroup(name), u.over} }
