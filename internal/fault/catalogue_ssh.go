package fault

// Faults of SSH clients that put services online without an agent (agent.md 12), and of registered keys (api.md 2.17).
const (
	// SSHKeyTaken means that the account has registered the key already. Argument: its fingerprint.
	SSHKeyTaken Code = "ERR_NGROK_609"
	// SSHKeyForeign means that another account has registered the key. Argument: its fingerprint.
	SSHKeyForeign Code = "ERR_NGROK_610"
	// SSHKeyEmpty means that a key to be registered is missing. No argument.
	SSHKeyEmpty Code = "ERR_NGROK_611"
	// SSHKeyInvalid means that a key to be registered cannot be read. Argument: what is wrong.
	SSHKeyInvalid Code = "ERR_NGROK_612"
	// SSHKeyMissing means that an SSH client has shown no registered key. No argument.
	SSHKeyMissing Code = "ERR_NGROK_1100"
	// SSHKeysTooMany means that an SSH client has offered too many keys. Argument: how many it may.
	SSHKeysTooMany Code = "ERR_NGROK_1101"
	// SSHKeyUnknown means that nobody has registered a key. Argument: its fingerprint.
	SSHKeyUnknown Code = "ERR_NGROK_1102"
	// SSHMultiplexed means that an SSH connection has a session already. No argument.
	SSHMultiplexed Code = "ERR_NGROK_1104"
	// SSHForwardsTooMany means that an SSH connection has as many forwards as it may. Argument: how many.
	SSHForwardsTooMany Code = "ERR_NGROK_1105"
	// SSHUserUnknown means that the user's name asks for a version that there is not. Argument: the name.
	SSHUserUnknown Code = "ERR_NGROK_1106"
	// SSHCommandMissing means that an SSH client gave no command. No argument.
	SSHCommandMissing Code = "ERR_NGROK_1107"
	// SSHCommandUnknown means that the command is none of those there are. Argument: the command.
	SSHCommandUnknown Code = "ERR_NGROK_1108"
	// SSHFlagUnsupported means that a flag cannot be used over SSH. Arguments: the flag, the command.
	SSHFlagUnsupported Code = "ERR_NGROK_1109"
	// SSHCommandInvalid means that the command cannot be understood. Arguments: what is wrong, the command.
	SSHCommandInvalid Code = "ERR_NGROK_1110"
	// SSHSessionTimeout means that an SSH client has asked for no session in time. Argument: the time.
	SSHSessionTimeout Code = "ERR_NGROK_1111"
	// SSHForwardTimeout means that an SSH client has asked for no forward in time. Argument: the time.
	SSHForwardTimeout Code = "ERR_NGROK_1112"
	// SSHPortRefused means that a command cannot have the port of a forward. Arguments: the port, the command, those it can.
	SSHPortRefused Code = "ERR_NGROK_1113"
	// SSHAddressTwice means that -R and a flag both name an address. Arguments: that of -R, the flag.
	SSHAddressTwice Code = "ERR_NGROK_1114"
	// SSHPortTwice means that -R names a port and a flag an address. Arguments: the port, the flag.
	SSHPortTwice Code = "ERR_NGROK_1115"
	// SSHPortMissing means that -R names a host for tcp and no port. Argument: the host.
	SSHPortMissing Code = "ERR_NGROK_1117"
	// SSHNameTwice means that -R and a flag both name a host. Arguments: that of -R, the flag.
	SSHNameTwice Code = "ERR_NGROK_1118"
	// SSHSubdomainTwice means that -R names a host and --subdomain another one. Argument: that of -R.
	SSHSubdomainTwice Code = "ERR_NGROK_1119"
	// SSHFlagsTwice means that --subdomain and another flag both name a host. Argument: the other flag.
	SSHFlagsTwice Code = "ERR_NGROK_1120"
	// SSHNoUpdate means that an SSH session cannot be updated. No argument.
	SSHNoUpdate Code = "ERR_NGROK_1121"
	// SSHNoRestart means that an SSH session cannot be restarted. No argument.
	SSHNoRestart Code = "ERR_NGROK_1122"
	// SSHProxyProtocol means that there is no such version of the PROXY protocol. Argument: the version.
	SSHProxyProtocol Code = "ERR_NGROK_1123"
	// SSHPolicyUnread means that the traffic policy of a flag cannot be fetched. Arguments: the URL, the error.
	SSHPolicyUnread Code = "ERR_CULVERT_1120"
	// SSHStopped means that an SSH session was stopped from outside. No argument.
	SSHStopped Code = "ERR_CULVERT_1121"
	// SSHRevoked means that the credential of an SSH session is not valid any more. No argument.
	SSHRevoked Code = "ERR_CULVERT_1122"
	// SSHHostKeyUnreadable means that the key by which SSH clients know the server cannot be opened. No argument.
	SSHHostKeyUnreadable Code = "ERR_CULVERT_1123"
)

func sshEntries() []Entry {
	const register = "Register a key with \"culvert api ssh-credentials create --public-key\", or log in as token@ with an authtoken as the password."
	const commands = "Give http, tcp or tls at the end of the command line: ssh -R 0:localhost:8080 v2@HOST http."
	return []Entry{
		{Code: SSHKeyTaken, Status: 400, Title: "SSH key registered already", Message: "The account has registered the key %s already.", Remedy: "Use that credential, or delete it first."},
		{Code: SSHKeyForeign, Status: 400, Title: "SSH key of another account", Message: "Another account has registered the key %s.", Remedy: "Make another key with ssh-keygen, or have it removed there."},
		{Code: SSHKeyEmpty, Status: 400, Title: "SSH key missing", Message: "The public key is missing.", Remedy: "Give the line of the file that ends in .pub."},
		{Code: SSHKeyInvalid, Status: 400, Title: "Not an SSH key", Message: "The public key cannot be used: %s.", Remedy: "Give the line of the file that ends in .pub, such as \"ssh-ed25519 AAAA… name\"."},
		{Code: SSHKeyMissing, Title: "No registered SSH key", Message: "No registered SSH key was shown.", Remedy: register},
		{Code: SSHKeysTooMany, Title: "Too many SSH keys", Message: "The client may offer %d keys, and none of them is registered.", Remedy: "Name the one to use with ssh -i FILE -o IdentitiesOnly=yes; ssh -v shows which ones are offered."},
		{Code: SSHKeyUnknown, Title: "SSH key not registered", Message: "The key %s is not registered here.", Remedy: register},
		{Code: SSHMultiplexed, Title: "Several sessions over one SSH connection", Message: "This SSH connection has a session already.", Remedy: "Use a connection of its own: ssh -o ControlPath=none. Several -R in one command are possible."},
		{Code: SSHForwardsTooMany, Title: "Too many forwards", Message: "An SSH connection may have %d forwards.", Remedy: "Use several connections."},
		{Code: SSHUserUnknown, Title: "No such version", Message: "There is no version %q of the commands over SSH.", Remedy: "Use v2 as the user's name: ssh -R … v2@HOST."},
		{Code: SSHCommandMissing, Title: "Command missing", Message: "No command was given.", Remedy: commands},
		{Code: SSHCommandUnknown, Title: "No such command", Message: "There is no command %q over SSH.", Remedy: commands},
		{Code: SSHFlagUnsupported, Title: "Flag not available over SSH", Message: "The flag %s is not available over SSH.", Remedy: "The command \"%[2]s --help\" lists those that are."},
		{Code: SSHCommandInvalid, Title: "Command not understood", Message: "The command is not understood: %s.", Remedy: "The command \"%[2]s --help\" shows how it is used. What has spaces needs two pairs of quotes: one for your shell and one for the server."},
		{Code: SSHSessionTimeout, Title: "No session", Message: "The client asked for no session within %s.", Remedy: "Leave -N out, or give the command with the user's name: v2+http@HOST."},
		{Code: SSHForwardTimeout, Title: "No forward", Message: "The client asked for no forward within %s.", Remedy: "Give it with -R, such as ssh -R 0:localhost:8080 v2@HOST http."},
		{Code: SSHPortRefused, Title: "Port not possible", Message: "The port %d of -R cannot be had with the command %s, only %s.", Remedy: "Give 0 and the server chooses: -R 0:localhost:8080."},
		{Code: SSHAddressTwice, Title: "Two addresses", Message: "Both -R %s and %s name an address.", Remedy: "Use one of them."},
		{Code: SSHPortTwice, Title: "Port and address", Message: "-R names the port %d, and %s an address.", Remedy: "Use one of them."},
		{Code: SSHPortMissing, Title: "Host without a port", Message: "-R names the host %q for tcp and no port.", Remedy: "Give both, as -R host:port:localhost:22, or none, as -R 0:localhost:22."},
		{Code: SSHNameTwice, Title: "Two names", Message: "Both -R %s and %s name a host.", Remedy: "Use one of them."},
		{Code: SSHSubdomainTwice, Title: "Two names", Message: "Both -R %s and --subdomain name a host.", Remedy: "Use one of them."},
		{Code: SSHFlagsTwice, Title: "Two names", Message: "Both %s and --subdomain name a host.", Remedy: "Use one of them."},
		{Code: SSHNoUpdate, Status: 400, Title: "SSH session", Message: "The session is that of an SSH client, which cannot be updated from here.", Remedy: "Update the client on its own machine."},
		{Code: SSHNoRestart, Status: 400, Title: "SSH session", Message: "The session is that of an SSH client, which cannot be restarted from here.", Remedy: "Stop it, and start it again on its own machine."},
		{Code: SSHProxyProtocol, Title: "No such version of the PROXY protocol", Message: "There is no version %q of the PROXY protocol.", Remedy: "Use 1 or 2."},
		{Code: SSHPolicyUnread, Title: "Traffic policy cannot be fetched", Message: "The traffic policy at %s cannot be fetched: %s.", Remedy: "The server fetches it, so the address has to be one that it may ask: https on the internet, or one within --outbound-allow."},
		{Code: SSHStopped, Title: "Session stopped", Message: "The session was stopped by an administrator.", Remedy: "Ask them before you start it again."},
		{Code: SSHRevoked, Title: "Credential not valid any more", Message: "The credential that this session logged in with is not valid any more.", Remedy: "Log in with another one."},
		{Code: SSHHostKeyUnreadable, Title: "Host key for SSH unreadable", Message: "The key by which SSH clients know this server cannot be opened with the server's sealing keys.", Remedy: "Put the key file back that belongs to this database: sealing.key in the data directory, or the file of --master-key-file."},
	}
}
