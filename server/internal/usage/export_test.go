package usage

import "context"

// Trim removes what is old.
func Trim(l *Ledger, ctx context.Context) error { return l.trim(ctx) } //nolint:revive // the ledger is what it is about
