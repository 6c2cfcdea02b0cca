package wire

import "strconv"

// ReqType is the number that opens every stream and says what the stream is
// for. It travels as four bytes, most significant first.
type ReqType uint32

// The stream types of the agent protocol. The numbers are permanent.
const (
	// TypeAuth opens a session; the agent sends [Auth], the answer is [AuthResp].
	TypeAuth ReqType = 0
	// TypeBind brings an endpoint online; [Bind] is answered with [BindResp].
	TypeBind ReqType = 1
	// TypeUnbind takes an endpoint offline; [Unbind] is answered with [UnbindResp].
	TypeUnbind ReqType = 2
	// TypeProxy is a forwarded connection: a [ProxyHeader], then raw bytes.
	TypeProxy ReqType = 3
	// TypeRestart asks the agent to restart; [Restart] is answered with [ErrorResp].
	TypeRestart ReqType = 4
	// TypeStop asks the agent to end; [Stop] is answered with [ErrorResp].
	TypeStop ReqType = 5
	// TypeUpdate asks the agent to update itself; [Update] is answered with [ErrorResp].
	TypeUpdate ReqType = 6
	// TypeStartTunnelWithLabel starts a labelled tunnel, a form that older SDKs use.
	TypeStartTunnelWithLabel ReqType = 7
	// TypeSrvInfo asks for the server's region. It is allowed before Auth.
	TypeSrvInfo ReqType = 8
	// TypeStopTunnel ends one endpoint of an agent; [StopTunnel] has no answer.
	TypeStopTunnel ReqType = 9
	// TypePatchTunnelState changes an endpoint in place; [PatchTunnelState] is
	// answered with [ErrorResp].
	TypePatchTunnelState ReqType = 10
	// TypeAgentMetrics carries protobuf batches that newer Go agents send when
	// invited. The server never invites them.
	TypeAgentMetrics ReqType = 11
	// TypeHeartbeat is a stream on which every four bytes are echoed.
	TypeHeartbeat ReqType = 0xFFFFFFFF
)

// typeLen is the number of bytes of a [ReqType] on the wire.
const typeLen = 4

// String returns the name of the type as the protocol calls it.
func (t ReqType) String() string {
	switch t {
	case TypeAuth:
		return "Auth"
	case TypeBind:
		return "Bind"
	case TypeUnbind:
		return "Unbind"
	case TypeProxy:
		return "Proxy"
	case TypeRestart:
		return "Restart"
	case TypeStop:
		return "Stop"
	case TypeUpdate:
		return "Update"
	case TypeStartTunnelWithLabel:
		return "StartTunnelWithLabel"
	case TypeSrvInfo:
		return "SrvInfo"
	case TypeStopTunnel:
		return "StopTunnel"
	case TypePatchTunnelState:
		return "PatchTunnelState"
	case TypeAgentMetrics:
		return "AgentMetrics"
	case TypeHeartbeat:
		return "Heartbeat"
	}
	return "type " + strconv.FormatUint(uint64(t), 10)
}
