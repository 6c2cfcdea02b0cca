package fault

// Faults of agent sessions and credentials (endpoints.md 15.3, agent.md 10.9).
const (
	// MetadataTooLong means that session or endpoint metadata is too long. Argument: its length.
	MetadataTooLong Code = "ERR_NGROK_100"
	// TokenMalformed means that a token cannot be one of ours. Arguments: the masked token, what is wrong with it.
	TokenMalformed Code = "ERR_NGROK_105"
	// TokenUnknown means that a well-formed token is not one of ours. Argument: the masked token.
	TokenUnknown Code = "ERR_NGROK_107"
	// TokenMissing means that the agent has no authtoken: it sent none, or has none to send. No argument.
	TokenMissing Code = "ERR_NGROK_4018"
	// TokenIsAPIKey means that the credential exists but is of the other kind. Argument: the masked key.
	TokenIsAPIKey Code = "ERR_CULVERT_1218"
	// TokenRevoked means that a token existed but is no longer valid. Argument: the masked token.
	TokenRevoked Code = "ERR_NGROK_300"
	// TooManySessions means that the limit of sessions is met. Argument: the limit.
	TooManySessions Code = "ERR_NGROK_348"
	// SessionRate means that sessions are opened too fast. Argument: the source.
	SessionRate Code = "ERR_NGROK_349"
	// SourceRefused means that an IP restriction refuses the agent. Argument: the address.
	SourceRefused Code = "ERR_NGROK_115"
	// TokenSourceRefused means that the token's own IP restriction refuses the agent. Argument: the address.
	TokenSourceRefused Code = "ERR_NGROK_116"
	// VersionUnsupported means that agent and server share no protocol version. Argument: the versions offered.
	VersionUnsupported Code = "ERR_NGROK_120"
	// AgentTooOld means that the server's policy bars the agent's version. Argument: the version.
	AgentTooOld Code = "ERR_NGROK_121"
	// AuthIncomplete means that an Auth message cannot be read. Argument: what was wrong.
	AuthIncomplete Code = "ERR_CULVERT_1219"
	// SessionReplaced is the cause recorded when a second Auth supersedes a session. No argument.
	SessionReplaced Code = "ERR_CULVERT_1221"
	// SessionSilent is the cause recorded when the edge ends a silent session. Argument: how long.
	SessionSilent Code = "ERR_CULVERT_1222"
	// ServerDraining tells an agent to reconnect without delay. No argument.
	ServerDraining Code = "ERR_NGROK_803"
	// CommandUnsupported means that a remote command is not supported by the agent. Arguments: the command, the reason.
	CommandUnsupported Code = "ERR_NGROK_804"
	// CommandFailed means that a remote command failed in the agent. Arguments: the command, the reason.
	CommandFailed Code = "ERR_NGROK_807"
	// StopUnsupported and UpdateUnsupported are CommandUnsupported for two of the commands.
	StopUnsupported   Code = "ERR_NGROK_805"
	UpdateUnsupported Code = "ERR_NGROK_806"
	// StopFailed and UpdateFailed are CommandFailed for two of the commands.
	StopFailed   Code = "ERR_NGROK_808"
	UpdateFailed Code = "ERR_NGROK_809"
	// CommandTimeout means that a remote command was not answered, perhaps because the agent is gone. Argument: the command.
	CommandTimeout Code = "ERR_NGROK_810"
)

func sessionEntries() []Entry {
	return []Entry{
		{
			Code: MetadataTooLong, Status: 400, Title: "Metadata too long",
			Message: "The metadata has %d bytes; at most 4096 are allowed.",
			Remedy:  "Shorten the metadata.",
		},
		{
			Code: TokenMalformed, Status: 401, Title: "The authtoken is malformed",
			Message: "The authtoken %s does not look like an authtoken: %s.",
			Remedy:  "Copy the whole token again. \"culvertd authtoken new\" on the server's machine makes one, and \"culvert config add-authtoken TOKEN\" stores it here.",
		},
		{
			Code: TokenUnknown, Status: 401, Title: "The authtoken is not known",
			Message: "The authtoken %s is well formed, but this server does not know it.",
			Remedy:  "Check that it was made on this server. \"culvertd authtoken new\" makes a new one, and \"culvert config add-authtoken TOKEN\" stores it here.",
		},
		{
			Code: TokenMissing, Status: 401, Title: "No authtoken is set",
			Message: "The agent has no authtoken, and the server asks for one.",
			Remedy:  "Make one with \"culvertd authtoken new\" on the server's machine, then run \"culvert config add-authtoken TOKEN\" here.",
		},
		{
			Code: TokenIsAPIKey, Status: 401, Title: "An API key was given as authtoken",
			Message: "The credential %s is an API key, not an authtoken.",
			Remedy:  "Use an authtoken: \"culvertd authtoken new\" makes one.",
		},
		{
			Code: TokenRevoked, Status: 401, Title: "The authtoken was revoked",
			Message: "The authtoken %s was revoked.",
			Remedy:  "Make a new one with \"culvertd authtoken new\".",
		},
		{
			Code: TooManySessions, Status: 403, Title: "Too many sessions",
			Message: "%d agent sessions are open already, which is the limit.",
			Remedy:  "Stop an agent that is not needed.",
		},
		{
			Code: SessionRate, Status: 429, Title: "Too many new sessions",
			Message: "Agents connect too often from %s.",
			Remedy:  "Wait a minute. If a program reconnects in a loop, give it a valid authtoken or stop it.",
		},
		{
			Code: SourceRefused, Status: 403, Title: "Address not allowed",
			Message: "Agents may not connect from %s.",
			Remedy:  "Connect from an allowed address, or have the administrator allow this one.",
		},
		{
			Code: TokenSourceRefused, Status: 403, Title: "Address not allowed for this authtoken",
			Message: "This authtoken may not be used from %s.",
			Remedy:  "Connect from an allowed address, or use another token.",
		},
		{
			Code: VersionUnsupported, Status: 400, Title: "No common protocol version",
			Message: "The agent offers the protocol versions %s; this server speaks 3 and 2.",
			Remedy:  "Update the agent.",
		},
		{
			Code: AgentTooOld, Status: 400, Title: "The agent is too old",
			Message: "The agent's version %s is no longer supported.",
			Remedy:  "Update the agent.",
		},
		{
			Code: AuthIncomplete, Status: 400, Title: "Authentication was not understood",
			Message: "The agent's authentication message is not valid: %s.",
			Remedy:  "Update the agent, or report this together with the agent's name and version.",
		},
		{
			Code: SessionReplaced, Status: 409, Title: "The session was replaced",
			Message: "The agent opened a newer session, which replaces this one.",
			Remedy:  "Nothing needs to be done: the newer session serves.",
		},
		{
			Code: SessionSilent, Status: 408, Title: "The agent fell silent",
			Message: "Nothing was heard from the agent for %s.",
			Remedy:  "Check the network between agent and server; the agent reconnects by itself.",
		},
		{
			Code: ServerDraining, Status: 503, Title: "The server is shutting down",
			Message: "The server closed the session because it is shutting down.",
			Remedy:  "Nothing needs to be done: the agent reconnects by itself.",
		},
		{
			Code: CommandUnsupported, Status: 400, Title: "The agent does not support this",
			Message: "The agent does not support the command %s: %s.",
			Remedy:  "Run the command on the agent's own machine.",
		},
		{
			Code: CommandFailed, Status: 502, Title: "The agent could not do this",
			Message: "The agent could not carry out the command %s: %s.",
			Remedy:  "Look at the agent's log.",
		},
		{
			Code: StopUnsupported, Status: 400, Title: "The agent cannot be stopped from here",
			Message: "The agent does not support the command %s: %s.",
			Remedy:  "Stop it on its own machine, or delete its authtoken.",
		},
		{
			Code: UpdateUnsupported, Status: 400, Title: "The agent cannot be updated from here",
			Message: "The agent does not support the command %s: %s.",
			Remedy:  "Update it on its own machine, with what installed it.",
		},
		{
			Code: StopFailed, Status: 502, Title: "The agent could not be stopped",
			Message: "The agent could not carry out the command %s: %s.",
			Remedy:  "Look at the agent's log.",
		},
		{
			Code: UpdateFailed, Status: 502, Title: "The agent could not be updated",
			Message: "The agent could not carry out the command %s: %s.",
			Remedy:  "Look at the agent's log.",
		},
		{
			Code: CommandTimeout, Status: 502, Title: "The agent did not answer",
			Message: "The agent did not answer the command %s.",
			Remedy:  "Check the agent's network connection.",
		},
	}
}
