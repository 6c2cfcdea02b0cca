package culvert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/rpc"
)

// RPCHandler is called when the server sends a command. Its payload is not
// used; its error is reported to the server. It should return before it acts:
// after StopAgent and RestartAgent the session is closed once it has returned
// without an error. It must not call Disconnect.
type RPCHandler func(ctx context.Context, session AgentSession, request rpc.Request) ([]byte, error)

// rpcRequest implements rpc.Request.
type rpcRequest struct {
	method string
	update wire.Update
}

// Method implements rpc.Request.
func (r *rpcRequest) Method() string { return r.method }

// Version returns the version that an UpdateAgent command asks for, empty for
// the newest.
func (r *rpcRequest) Version() string { return r.update.Version }

// PermitMajorVersion tells whether an update may change the major version.
func (r *rpcRequest) PermitMajorVersion() bool { return r.update.PermitMajorVersion }

// remoteCommand runs the application's handler.
func (k *link) remoteCommand(ctx context.Context, t wire.ReqType, body json.RawMessage) (any, error) {
	req := &rpcRequest{}
	switch t {
	case wire.TypeRestart:
		req.method = rpc.RestartAgentMethod
	case wire.TypeUpdate:
		req.method = rpc.UpdateAgentMethod
		if err := json.Unmarshal(body, &req.update); err != nil {
			return nil, fault.New(fault.CommandFailed, req.method, "the command cannot be read")
		}
	default:
		req.method = rpc.StopAgentMethod
	}
	handler := k.s.opts.rpcHandler
	if handler == nil {
		return nil, fault.New(fault.CommandUnsupported, req.method, "the application has not enabled remote commands")
	}
	if _, err := handler(ctx, k.s.info, req); err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return nil, f
		}
		return nil, fault.Wrap(fmt.Errorf("%s handler: %w", req.method, err), fault.CommandFailed, req.method, err)
	}
	if t != wire.TypeUpdate {
		k.ending.Store(true)
	}
	return wire.ErrorResp{}, nil
}
