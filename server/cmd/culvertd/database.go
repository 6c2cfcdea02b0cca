package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/datafile"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
)

// noFile names standard input or output in place of a file.
const noFile = "-"

func (p *program) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup [FILE|-]",
		Short: "Write a backup of the database, while the server runs",
		Long: `Write all that the database holds at one moment to a file, or to standard output.
The server may run meanwhile. The file is text and the same for SQLite and
PostgreSQL, so that "culvertd restore" puts it into either; ` + databaseVariable + `
names a PostgreSQL database, else it is that of --data-dir. A file that exists
stays as it is, unless --force says to replace it once the backup is complete.

Secrets in it stay sealed, and the master key is not in it: keep a copy of
sealing.key from the data directory, in another place.`,
		Example: `  culvertd backup /backup/culvert.jsonl
  culvertd backup | gzip > culvert.jsonl.gz`,
		Args: atMostOne,
	}
	dataFlags(cmd)
	force := cmd.Flags().Bool("force", false, "replace a file that exists")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		file := noFile
		if len(args) == 1 {
			file = args[0]
		}
		if file != noFile && !*force && exists(file) {
			return fault.New(fault.BackupExists, file)
		}
		if file == noFile && p.terminal(p.stdout) {
			return usage(errors.New("a backup is not for a terminal; name a file for it, or redirect standard output"))
		}
		db, err := p.database(cmd)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		var sum sqlstore.Summary
		write := func(w io.Writer) (err error) {
			sum, err = db.Backup(cmd.Context(), w)
			return err
		}
		if file == noFile {
			err = write(p.stdout)
		} else {
			err = datafile.WriteBy(file, 0o600, write)
		}
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			return usage(fmt.Errorf("the backup cannot be written to %s: %w", file, at.Err))
		}
		if err != nil {
			return failedOn(db, err)
		}
		fmt.Fprintf(p.stderr, "%s: %d documents at revision %d.\n", db.Name(), sum.Records, sum.Revision)
		return nil
	}
	return cmd
}

func (p *program) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE|-",
		Short: "Write a backup into an empty database",
		Long: `Write a backup into an empty database: that of a new data directory, or the one
that ` + databaseVariable + ` names. All of it is written or nothing. A damaged
backup is refused with the line where the damage is.

The backup's secrets and credentials work with the master key of the server that
it comes from: put its sealing.key into the data directory before the server
starts.`,
		Example: `  culvertd restore /backup/culvert.jsonl --data-dir /srv/culvert
  gunzip < culvert.jsonl.gz | culvertd restore -`,
		Args: exactlyOne,
	}
	dataFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := p.settings(cmd, p.serverDir)
		if err != nil {
			return err
		}
		in := p.stdin
		if args[0] != noFile {
			f, err := os.Open(args[0])
			if err != nil {
				return usage(fmt.Errorf("the backup cannot be read: %w", err))
			}
			defer f.Close()
			in = f
		}
		sum, name, err := restore(cmd.Context(), o, in, args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "%s: %d documents at revision %d, of the backup from %s.\n", name, sum.Records, sum.Revision, sum.CreatedAt.Format("2006-01-02 15:04:05 UTC"))
		if key := o.node.KeyFile(); !exists(key) {
			fmt.Fprintf(p.stderr, "\nThere is no master key here: %s does not exist. Without that of the server that the backup comes from its\n"+
				"secrets do not open, and its API keys and authtokens are refused. Put it there, with mode 600, before the server starts.\n", key)
		}
		return nil
	}
	return cmd
}

// restore writes a backup into the database that the settings name, which it makes if need be. No server runs in
// its data directory meanwhile.
func restore(ctx context.Context, o *options, in io.Reader, file string) (sum sqlstore.Summary, name string, err error) {
	if o.node.DatabaseURL == "" {
		lock, err := node.Lock(o.node.DataDir)
		if err != nil {
			return sum, "", err
		}
		defer lock.Close()
	}
	db, err := node.OpenDatabase(ctx, o.node)
	if err != nil {
		return sum, "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if file == noFile {
		file = "from standard input"
	}
	sum, err = db.Restore(ctx, in, file)
	if err != nil {
		err = failedOn(db, err)
	}
	return sum, db.Name(), err
}

func (p *program) dbCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Look after the database",
		Args:  commandOnly,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Read all of the database and tell what does not fit together",
		Long: `Read all of the database and tell what does not fit together: the file's own
structure, the checksum of each document, names, and the feed of changes. It
changes nothing, and the server may run meanwhile. The exit code is 1 if
something is wrong.`,
		Example: `  culvertd db check
  culvertd db check --data-dir /srv/culvert`,
		Args: noArgs,
	}
	dataFlags(check)
	check.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		db, err := p.database(cmd)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		r, err := db.Check(cmd.Context())
		if err != nil {
			return failedOn(db, err)
		}
		if len(r.Problems) == 0 {
			fmt.Fprintf(p.stdout, "%s: %d documents at revision %d, and nothing is wrong with them.\n", db.Name(), r.Records, r.Revision)
			return nil
		}
		for _, problem := range r.Problems {
			fmt.Fprintln(p.stdout, problem)
		}
		return fault.New(fault.DatabaseDamaged, db.Name(), len(r.Problems)+r.More)
	}
	cmd.AddCommand(check)
	return cmd
}

// database opens the database of a server, running or not.
func (p *program) database(cmd *cobra.Command) (*sqlstore.Store, error) {
	o, err := p.settings(cmd, p.serverDir)
	if err != nil {
		return nil, err
	}
	if o.node.DatabaseURL != "" {
		return node.OpenDatabase(cmd.Context(), o.node)
	}
	return openData(cmd.Context(), o)
}

// failedOn is what a person is told of a failure of an opened database.
func failedOn(db *sqlstore.Store, err error) error {
	if _, coded := errors.AsType[*fault.Error](err); coded {
		return err
	}
	return fault.Wrap(err, fault.DatabaseUnusable, db.Name(), err)
}

// atMostOne is the Args of a command that takes one file or none.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return usage(fmt.Errorf("%q takes one file, and got %d", cmd.CommandPath(), len(args)))
}

// exactlyOne is the Args of a command that takes one file.
func exactlyOne(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return usage(fmt.Errorf("%q takes one file, and got %d", cmd.CommandPath(), len(args)))
}
