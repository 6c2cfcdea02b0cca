package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/vault"
)

func (p *program) rotateKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate-key",
		Short: "Seal all secrets with a new master key",
		Long: `Put a new master key into the key file and seal every secret in the database
with it. A server that is running goes on: it works with the new key at once.

The keys before stay in the file, eight in all, because agents and browsers carry
things that are sealed with them. --drop-old makes no new key: it removes all but
the newest, which ends what they carry. Wait a day before that, and keep a copy
of the file for every backup of the database that is older than the rotation.`,
		Example: `  culvertd rotate-key
  culvertd rotate-key --drop-old`,
		Args: noArgs,
	}
	dataFlags(cmd)
	drop := cmd.Flags().Bool("drop-old", false, "remove all keys but the newest")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := p.settings(cmd, p.serverDir)
		if err != nil {
			return err
		}
		n, err := rotateKey(cmd.Context(), o, *drop)
		if err != nil {
			return err
		}
		what := "The new key is in force; those before still open what clients carry."
		if *drop {
			what = "The older keys are gone."
		}
		fmt.Fprintf(p.stdout, "%s Secrets sealed anew: %d.\n", what, n)
		return nil
	}
	return cmd
}

// rotateKey makes a new key and seals every secret with it, or drops all keys
// but the newest. An old key leaves the file only once nothing is sealed with it.
func rotateKey(ctx context.Context, o *options, drop bool) (sealed int, err error) {
	db, err := openData(ctx, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	path := o.node.KeyFile()
	lock, err := datafile.TryLock(path + ".lock") // two at once would drop a key that is in use
	if errors.Is(err, datafile.ErrLocked) {
		return 0, fault.Wrap(err, fault.DataDirLocked, filepath.Dir(path))
	}
	if err != nil {
		return 0, fault.Wrap(err, fault.DataDirUnusable, filepath.Dir(path), err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	keys, err := node.OpenKeys(o.node)
	if err != nil {
		return 0, err
	}
	// What an earlier rotation has left, if it was cut short.
	if sealed, err = control.Rewrap(ctx, db, keys); err != nil {
		return sealed, err
	}
	switch {
	case drop && sealed > 0: // whoever sealed them may do so again
		return sealed, fault.New(fault.OldKeyInUse, sealed)
	case drop:
		return 0, vault.DropOld(path)
	}
	if err := vault.Rotate(path); err != nil {
		return sealed, err
	}
	select { // until a running server seals with it too
	case <-ctx.Done():
		return sealed, context.Cause(ctx)
	case <-time.After(vault.Seen):
	}
	n, err := control.Rewrap(ctx, db, keys)
	return n, err
}
