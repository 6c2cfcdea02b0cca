package note

import (
	"context"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// everywhere are the schemes of actions that need no HTTP.
func everywhere() []endpoint.Scheme {
	return []endpoint.Scheme{endpoint.HTTP, endpoint.HTTPS, endpoint.TCP, endpoint.TLS}
}

type logConfig struct {
	Metadata policy.Tree `field:"metadata,required" doc:"what to record: a mapping from names to values of any kind; texts may hold ${…}, nested ones too"`
}

func logDefinition() policy.Definition {
	return policy.Define(policy.Definition{
		Type:    "log",
		Doc:     "Adds metadata to the event of the connection or request.",
		Phases:  []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest, policy.OnHTTPResponse},
		Schemes: everywhere(),
		Results: []expr.Variable{{Name: "log.metadata", Kind: expr.KindMap, Doc: "what the last log action recorded"}},
	}, logConfig{}, func(c *logConfig, b *policy.Build) policy.Action {
		if names, _ := c.Metadata.Entries(); names == nil {
			b.Problem("metadata", fault.ActionConfigInvalid, "metadata is a mapping from names to values")
			return nil
		}
		return &logAction{c}
	})
}

type logAction struct{ *logConfig }

// Do implements policy.Action.
func (a *logAction) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	v, err := a.Metadata.Value(x)
	if err != nil {
		return 0, err
	}
	metadata, _ := v.(map[string]any)
	if err := x.Log(metadata); err != nil {
		return 0, fault.Wrap(err, fault.InterpolationFailed, err.Error())
	}
	x.SetResult("log", map[string]any{"metadata": metadata})
	return policy.Continue, nil
}
