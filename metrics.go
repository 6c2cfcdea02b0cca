package culvert

import (
	"context"
	"errors"
	"time"
)

// ErrMetricsUnsupported is returned by SendMetrics: a Culvert server takes no
// metrics from agents.
var ErrMetricsUnsupported = errors.New("the server takes no agent metrics")

// MetricsSettings says how a server wants metrics. A Culvert server wants
// none; the type is here because the ngrok SDK has it.
type MetricsSettings struct {
	// Interval is the time between batches.
	Interval time.Duration
	// MaxBatchBytes and MaxSamples bound one batch.
	MaxBatchBytes, MaxSamples int
}

// AgentSessionMetrics is implemented by every [AgentSession] of this package,
// so that applications which ask for it go on compiling and learn that there
// are no metrics.
type AgentSessionMetrics interface {
	AgentSession
	// MetricsSettings returns false: the server takes no metrics.
	MetricsSettings() (MetricsSettings, bool)
	// SendMetrics returns [ErrMetricsUnsupported].
	SendMetrics(ctx context.Context, batch []byte) ([]byte, error)
}

// MetricsSettings implements AgentSessionMetrics.
func (*sessionInfo) MetricsSettings() (MetricsSettings, bool) { return MetricsSettings{}, false }

// SendMetrics implements AgentSessionMetrics.
func (*sessionInfo) SendMetrics(context.Context, []byte) ([]byte, error) {
	return nil, ErrMetricsUnsupported
}
