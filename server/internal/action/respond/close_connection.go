package respond

import (
	"context"

	"github.com/culvert-project/culvert/server/internal/policy"
)

// closeConnection is close-connection.
type closeConnection struct{}

func newCloseConnection(*closeConnection, *policy.Build) policy.Action { return closeConnection{} }

// Do implements policy.Action.
func (closeConnection) Do(context.Context, *policy.Exchange) (policy.Verdict, error) {
	return policy.Close, nil
}

// Ends implements policy.Ender.
func (closeConnection) Ends() bool { return true }
