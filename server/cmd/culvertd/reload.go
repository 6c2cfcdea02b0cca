package main

import (
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/report"
	"github.com/culvert-project/culvert/server/internal/node"
)

// reload reads the settings of a running server again and takes over what can
// change. Settings with a fault change nothing at all (reliability-security.md 7,
// D7).
func reload(o *options, n *node.Node, again func() (*options, error)) {
	log := o.node.Logger
	fresh, err := again()
	var later []string
	if err == nil {
		// Secrets left the environment when they were read first.
		fresh.node.BootstrapAuthtoken, fresh.node.BootstrapAPIKey = o.node.BootstrapAuthtoken, o.node.BootstrapAPIKey
		fresh.node.DatabaseURL = o.node.DatabaseURL
		later, err = n.Reload(fresh.node)
	}
	if err != nil {
		what, codes := refusal(err)
		log.Error("the settings are refused; the server goes on with those it has", "err", what, "code", codes)
		return
	}
	o.level.Set(fresh.logLevel)
	if err := o.access.Reopen(); err != nil {
		log.Error("the access log cannot be opened again; the old file stays in use", "err", err)
	}
	if fresh.accessLog != o.accessLog {
		later = append(later, "access_log")
	}
	if fresh.logFormat != o.logFormat {
		later = append(later, "log_format")
	}
	log.Info("read the settings again")
	if len(later) > 0 {
		log.Warn("some settings that have changed wait for the next start", "settings", later)
	}
}

// refusal returns all that is wrong on one line, for the log, and the codes of it.
func refusal(err error) (what, codes string) {
	each := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only a join at the top is several errors
		each = joined.Unwrap()
	}
	var lines, names []string
	for _, e := range each {
		r := report.Of(e)
		lines = append(lines, r.Lines...)
		if r.Code != "" && !slices.Contains(names, r.Code) {
			names = append(names, r.Code)
		}
	}
	return strings.Join(lines, "; "), strings.Join(names, " ")
}
