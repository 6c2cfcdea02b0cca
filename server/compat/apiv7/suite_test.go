package apiv7_test

import (
	"testing"

	"github.com/culvert-project/culvert/server/compat/apisuite"
	"github.com/culvert-project/culvert/server/compat/apiv7"
)

// missing are the packages, and methods, of the client that the server does not know yet.
var missing = []string{
	"abuse_reports",
	"application_sessions", "application_users",
	"event_destinations", "event_subscriptions", "event_sources",
	"kubernetes_operators",
	"ssh_certificate_authorities", "ssh_host_certificates", "ssh_user_certificates",
}

func TestEveryMethod(t *testing.T) { t.Parallel(); apisuite.Methods(t, apiv7.New, missing) }

func TestAPI01_EveryCollection(t *testing.T) { t.Parallel(); apisuite.Collections(t, apiv7.New) }

func TestAPI02_PagesOfAHundred(t *testing.T) { t.Parallel(); apisuite.Pages(t, apiv7.New) }

func TestAPI03_CollectionThatGrows(t *testing.T) { t.Parallel(); apisuite.Growing(t, apiv7.New) }

func TestAPI09_NoSuchPath(t *testing.T) { t.Parallel(); apisuite.NoSuchPath(t, apiv7.New) }

func TestAPI10_EveryRefusalDecodes(t *testing.T) { t.Parallel(); apisuite.Refusals(t, apiv7.New) }

func TestAPI04_API11_API12_API13_Rounds(t *testing.T) { t.Parallel(); apisuite.Rounds(t, apiv7.New) }

func TestAPI14_IDInTheBodyOfAnUpdate(t *testing.T) { t.Parallel(); apisuite.IDInBody(t, apiv7.New) }

func TestAPI44_Restart(t *testing.T) { t.Parallel(); apisuite.Restarts(t, apiv7.New) }

func TestAPI45_BehindAProxy(t *testing.T) { t.Parallel(); apisuite.Proxied(t, apiv7.New) }

func TestAPI33_EndpointOfAnAgent(t *testing.T) { t.Parallel(); apisuite.AgentEndpoint(t, apiv7.New) }

func TestAPI37_StopAndRestart(t *testing.T) { t.Parallel(); apisuite.Sessions(t, apiv7.New) }
