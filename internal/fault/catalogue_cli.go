package fault

// Faults of the agent's command line and configuration.
const (
	// Usage means that a command line is wrong. Argument: what is wrong.
	Usage Code = "ERR_CULVERT_1200"
	// ConfigUnreadable means that a configuration file cannot be opened or written. Arguments: the file, the error.
	ConfigUnreadable Code = "ERR_CULVERT_1201"
	// ConfigInvalid means that a configuration file has problems. Argument: the problems, or the first one.
	ConfigInvalid Code = "ERR_CULVERT_1202"
	// EndpointNameUnknown means that start names an unknown endpoint. Arguments: the name, the known names.
	EndpointNameUnknown Code = "ERR_CULVERT_1203"
	// ServerNotSet means that the agent does not know its server. No argument.
	ServerNotSet Code = "ERR_CULVERT_1204"
	// ServerAddress means that connect_url is malformed. Arguments: the value, what is wrong.
	ServerAddress Code = "ERR_CULVERT_1205"
	// ServerUntrusted means that the server's certificate does not verify. Arguments: the address, the error.
	ServerUntrusted Code = "ERR_CULVERT_1206"
	// FingerprintMismatch means that the pinned fingerprint differs. Arguments: the address, the fingerprint seen, the one expected.
	FingerprintMismatch Code = "ERR_CULVERT_1207"
	// FingerprintInvalid means that a fingerprint cannot be read. Argument: the value.
	FingerprintInvalid Code = "ERR_CULVERT_1208"
	// CAFileInvalid means that a CA file cannot be used. Arguments: the file, the error.
	CAFileInvalid Code = "ERR_CULVERT_1209"
	// ConnectFailed means that the agent cannot connect. Arguments: the address, the error.
	ConnectFailed Code = "ERR_CULVERT_1210"
	// ProxyInvalid means that proxy_url is malformed. Arguments: the value, what is wrong.
	ProxyInvalid Code = "ERR_CULVERT_1211"
	// ProxyFailed means that the proxy failed. Arguments: the proxy, the error.
	ProxyFailed Code = "ERR_CULVERT_1212"
	// UpstreamInvalidURL means that an upstream cannot be read. Arguments: the value, what is wrong.
	UpstreamInvalidURL Code = "ERR_CULVERT_1213"
	// CertificatePair means that a certificate pair is missing a half or broken. Arguments: the certificate, the key, the error.
	CertificatePair Code = "ERR_CULVERT_1214"
	// OptionConflict means that two options exclude each other. Arguments: the options.
	OptionConflict Code = "ERR_CULVERT_1216"
	// SessionClosed means that the session ended for good. Argument: why.
	SessionClosed Code = "ERR_CULVERT_1223"
	// ValueInvalid means that a flag, variable or key has an impossible value. Arguments: the value, its name, what is wrong.
	ValueInvalid Code = "ERR_CULVERT_1224"
	// FileServer means that a file:// upstream cannot be used. Arguments: the directory, the error.
	FileServer Code = "ERR_CULVERT_1225"
	// EditorFailed means that config edit could not run an editor. Arguments: the editor, the error.
	EditorFailed Code = "ERR_CULVERT_1227"
	// PermissionWide is a warning. Argument: the file.
	PermissionWide Code = "ERR_CULVERT_1228"
	// ServerProgramMissing means that the agent needs culvertd for a command and does not find it. Arguments: the
	// command, the folder where it should be.
	ServerProgramMissing Code = "ERR_CULVERT_1234"
	// PolicyFileUnreadable means that a file of the policy workbench cannot be read. Argument: the error, with the file.
	PolicyFileUnreadable Code = "ERR_CULVERT_1235"
)

func cliEntries() []Entry {
	return []Entry{
		{
			Code: Usage, Status: 0, Title: "Wrong usage",
			Message: "%s.",
			Remedy:  "Run the command with --help to see how it is used.",
		},
		{
			Code: ConfigUnreadable, Status: 0, Title: "The configuration file cannot be read",
			Message: "The configuration file %s cannot be read: %s.",
			Remedy:  "Check that the file exists and that you may read it.",
		},
		{
			Code: ConfigInvalid, Status: 0, Title: "The configuration is not valid",
			Message: "The configuration is not valid: %s.",
			Remedy:  "Correct the file; \"culvert config check\" names every problem with its line.",
		},
		{
			Code: EndpointNameUnknown, Status: 0, Title: "No such endpoint in the configuration",
			Message: "No endpoint is called %s; the configuration has: %s.",
			Remedy:  "Use one of these names, or --all for all of them.",
		},
		{
			Code: ServerNotSet, Status: 0, Title: "No server is set",
			Message: "No server address is set.",
			Remedy:  "Run \"culvert config add-connect-url HOST:PORT --ca-fingerprint sha256:...\"; the server prints this line at start. Or pass --connect-url.",
		},
		{
			Code: ServerAddress, Status: 0, Title: "The server address is not valid",
			Message: "The server address %q is not valid: %s.",
			Remedy:  "Write it as host:port, for example tunnel.example.com:9444.",
		},
		{
			Code: ServerUntrusted, Status: 0, Title: "The server's certificate is not trusted",
			Message: "The certificate of the server %s is not trusted: %s.",
			Remedy:  "Give the fingerprint or CA that the server prints at start: --ca-fingerprint sha256:... or --connect-cas FILE. Use \"connect_cas: host\" for a certificate of a public authority.",
		},
		{
			Code: FingerprintMismatch, Status: 0, Title: "The server is not the expected one",
			Message: "The server %s presented the CA %s, but %s is expected.",
			Remedy:  "If the server was set up anew, store its new fingerprint with \"culvert config add-connect-url\". If not, somebody may be intercepting the connection.",
		},
		{
			Code: FingerprintInvalid, Status: 0, Title: "The fingerprint is not valid",
			Message: "The CA fingerprint %q is not valid.",
			Remedy:  "Write it as sha256: and 64 hexadecimal digits, as the server prints it.",
		},
		{
			Code: CAFileInvalid, Status: 0, Title: "The CA file is not valid",
			Message: "The CA file %s holds no usable certificate: %s.",
			Remedy:  "Give a PEM file; the server's is ca.pem in its data directory.",
		},
		{
			Code: ConnectFailed, Status: 0, Title: "The server cannot be reached",
			Message: "The server %s cannot be reached: %s.",
			Remedy:  "Check that culvertd is running and that the address is right; \"culvert diagnose\" finds the cause.",
		},
		{
			Code: ProxyInvalid, Status: 0, Title: "The proxy URL is not valid",
			Message: "The proxy URL %q is not valid: %s.",
			Remedy:  "Write it as http://host:port, https://host:port or socks5://host:port; add http:// if the scheme is missing.",
		},
		{
			Code: ProxyFailed, Status: 0, Title: "The proxy refused the connection",
			Message: "The proxy %s did not connect to the server: %s.",
			Remedy:  "Check the proxy's address and credentials, and whether it allows this server and port.",
		},
		{
			Code: UpstreamInvalidURL, Status: 0, Title: "The upstream is not valid",
			Message: "The upstream %q is not valid: %s.",
			Remedy:  "Give a port (8080), host:port, an http:// or https:// URL, file:///directory, or for tcp and tls host:port.",
		},
		{
			Code: CertificatePair, Status: 0, Title: "Certificate and key cannot be used",
			Message: "The certificate %s and the key %s cannot be used: %s.",
			Remedy:  "Give a PEM certificate chain and its unencrypted PEM key, both or neither.",
		},
		{
			Code: OptionConflict, Status: 0, Title: "Options exclude each other",
			Message: "%s and %s cannot be used together.",
			Remedy:  "Use one of them.",
		},
		{
			Code: SessionClosed, Status: 0, Title: "The session was closed",
			Message: "The session with the server was closed: %s.",
			Remedy:  "Start the agent again, or look at the server's log.",
		},
		{
			Code: ValueInvalid, Status: 0, Title: "Value not valid",
			Message: "The value %q of %s is not valid: %s.",
			Remedy:  "Correct the value.",
		},
		{
			Code: FileServer, Status: 0, Title: "The directory cannot be served",
			Message: "The directory %s cannot be served: %s.",
			Remedy:  "Give an absolute path to a directory that you may read, as in file:///home/me/public.",
		},
		{
			Code: EditorFailed, Status: 0, Title: "The editor could not be run",
			Message: "The editor %s could not be run: %s.",
			Remedy:  "Set EDITOR to an editor that is installed.",
		},
		{
			Code: PermissionWide, Status: 0, Title: "The file can be read by others",
			Message: "The file %s holds a secret and can be read by others.",
			Remedy:  "Run \"chmod 600 %[1]s\".",
		},
		{
			Code: ServerProgramMissing, Status: 0, Title: "The program culvertd is missing",
			Message: "%s is done by the program culvertd, and that is neither in %s nor in PATH.",
			Remedy:  "Install culvertd beside culvert, or add its folder to PATH.",
		},
		{
			Code: PolicyFileUnreadable, Status: 0, Title: "The file cannot be read",
			Message: "The file cannot be read: %s.",
			Remedy:  "Check that the file exists and that you may read it.",
		},
	}
}
