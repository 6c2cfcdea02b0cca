package logs

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// Config says where the log goes and what it looks like.
type Config struct {
	// Target is "stdout", "stderr", "false" (nothing is written) or the path
	// of a file, which is created with mode 0600 and appended to. Empty means
	// "false".
	Target string
	// Format is the shape of the lines. Empty means Term where a person reads
	// along, and Logfmt elsewhere.
	Format Format
	// Level is the least severity that is written; it may change while the log
	// is open. Nil means info.
	Level  slog.Leveler
	Stdout io.Writer // what "stdout" means; nil: nothing is written
	Stderr io.Writer // what "stderr" means; nil: nothing is written
	// Terminal tells whether a writer is a terminal, and whether it wants
	// colours. Nil means that none is.
	Terminal func(io.Writer) (terminal, colours bool)
}

// Log is an open log.
type Log struct {
	logger *slog.Logger
	out    *output
	path   string // "" unless the target is a file

	mu   sync.Mutex
	file *os.File // guarded by mu; nil unless the target is a file
}

// Open opens the log. The caller closes it.
func Open(c Config) (*Log, error) {
	l := &Log{}
	var w io.Writer
	switch c.Target {
	case "", "false":
		l.logger = slog.New(slog.DiscardHandler)
		return l, nil
	case "stdout":
		w = c.Stdout
	case "stderr":
		w = c.Stderr
	default:
		l.path = c.Target
		f, err := openFile(l.path)
		if err != nil {
			return nil, err
		}
		l.file, w = f, f
	}
	if w == nil {
		l.logger = slog.New(slog.DiscardHandler)
		return l, nil
	}
	format, level := c.Format, c.Level
	if level == nil {
		level = slog.LevelInfo
	}
	terminal, colours := false, false
	if c.Terminal != nil {
		terminal, colours = c.Terminal(w)
	}
	if format == "" {
		format = Logfmt
		if terminal {
			format = Term
		}
	}
	l.out = &output{w: w}
	l.logger = slog.New(&handler{out: l.out, level: level, format: format, colours: terminal && colours})
	return l, nil
}

// Logger returns the logger that writes to this log.
func (l *Log) Logger() *slog.Logger { return l.logger }

// IsFile reports whether the log goes to a file, which Reopen can open anew.
func (l *Log) IsFile() bool { return l.path != "" }

// Reopen opens the log's file anew under its path, so that a program that
// rotates logs may move the old one away first. It does nothing when the log
// does not go to a file. On error the old file stays in use.
func (l *Log) Reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := openFile(l.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil { // closed meanwhile
		return f.Close()
	}
	old := l.file
	l.file = f
	l.out.mu.Lock()
	l.out.w = f
	l.out.mu.Unlock()
	return old.Close()
}

// Close closes the log's file, if it has one. Later records are lost. Close is
// idempotent.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	l.out.mu.Lock()
	l.out.w = io.Discard
	l.out.mu.Unlock()
	f := l.file
	l.file = nil
	return f.Close()
}

func openFile(path string) (*os.File, error) {
	return os.OpenFile(filepath.Clean(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}
