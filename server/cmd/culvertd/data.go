package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
)

// dataFlags gives a command that works on the data of a server the flags that
// say where it lies. The others of a server are known and do nothing, so that a
// file of settings serves both.
func dataFlags(cmd *cobra.Command) {
	serverFlags(cmd)
	for _, s := range settings() {
		if f := cmd.Flags().Lookup(s.name); f != nil && s.name != "data-dir" && s.name != "master-key-file" {
			f.Hidden = true
		}
	}
}

// checkData fails with fault.DataDirUnusable unless a server has run in the data
// directory: elsewhere nobody would know of what is done. It makes nothing.
func checkData(dir string) error {
	kept, err := node.Keeps(dir)
	if err == nil && !kept {
		f := fault.New(fault.DataDirUnusable, dir, "no server has run there yet")
		f.Remedy = "Start the server first, or name its directory with --data-dir; the server prints it as \"data\"."
		return f
	}
	return err
}

// openData opens the database of a server, running or not.
func openData(ctx context.Context, o *options) (*sqlstore.Store, error) {
	if err := checkData(o.node.DataDir); err != nil {
		return nil, err
	}
	return node.OpenDatabase(ctx, o.node)
}
