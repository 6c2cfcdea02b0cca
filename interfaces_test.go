package culvert

import (
	"errors"
	"net"
	"testing"
)

// What the documentation promises of the values behind the interfaces.
var (
	_ Diagnoser                   = (*agent)(nil)
	_ AgentStatus                 = (*agent)(nil)
	_ AgentSessionDetails         = (*sessionInfo)(nil)
	_ AgentSessionMetrics         = (*sessionInfo)(nil)
	_ EndpointStatus              = (*listener)(nil)
	_ EndpointStatus              = (*forwarder)(nil)
	_ UpdateableEndpointForwarder = (*forwarder)(nil)
	_ net.Listener                = (*listener)(nil)
	_ net.Conn                    = (*Conn)(nil)
	_ Error                       = (*codedError)(nil)
	_ Dialer                      = (*net.Dialer)(nil)
)

func TestNoMetrics(t *testing.T) {
	t.Parallel()
	var s AgentSessionMetrics = &sessionInfo{}
	if _, ok := s.MetricsSettings(); ok {
		t.Error("metrics are wanted")
	}
	if _, err := s.SendMetrics(t.Context(), nil); !errors.Is(err, ErrMetricsUnsupported) {
		t.Errorf("SendMetrics: got %v", err)
	}
}
