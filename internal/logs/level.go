package logs

import (
	"fmt"
	"log/slog"
	"strings"
)

// LevelCrit is the severity of a fault that ends the agent. It stands above
// slog.LevelError (reference: agent, section 6).
const LevelCrit = slog.LevelError + 4

// ParseLevel reads a level as it is written in flags and in the config file:
// debug, info, warn, error or crit, or one of the short names that log lines
// show. Case does not matter. Empty text means info.
func ParseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "debug", "dbug":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error", "eror":
		return slog.LevelError, nil
	case "crit", "critical":
		return LevelCrit, nil
	}
	return 0, fmt.Errorf("log level %q is not one of debug, info, warn, error, crit", text)
}

// shortLevel gives the four letters that stand for a level in a log line.
func shortLevel(l slog.Level) string {
	switch {
	case l >= LevelCrit:
		return "crit"
	case l >= slog.LevelError:
		return "eror"
	case l >= slog.LevelWarn:
		return "warn"
	case l >= slog.LevelInfo:
		return "info"
	}
	return "dbug"
}
