package fault

// Faults of the server's start-up, settings and data directory.
const (
	// ServerConfigInvalid means that the server's YAML file has problems. Argument: the problems.
	ServerConfigInvalid Code = "ERR_CULVERT_1000"
	// ServerConfigUnreadable means that the server's YAML file cannot be opened. Arguments: the file, the error.
	ServerConfigUnreadable Code = "ERR_CULVERT_1001"
	// ListenFailed means that a listener cannot be opened. Arguments: the address, what for, the error, the flag.
	ListenFailed Code = "ERR_CULVERT_1002"
	// DataDirLocked means that a second process uses the data directory. Argument: the directory.
	DataDirLocked Code = "ERR_CULVERT_1003"
	// DataDirUnusable means that the data directory cannot be made or written. Arguments: the directory, the error.
	DataDirUnusable Code = "ERR_CULVERT_1004"
	// SecretFileMode means that a key or token file is readable by group or world. Arguments: the file, its mode.
	SecretFileMode Code = "ERR_CULVERT_1005"
	// SealingKeyDamaged means that the sealing key file is damaged. Arguments: the file, what is wrong.
	SealingKeyDamaged Code = "ERR_CULVERT_1006"
	// TokenFileDamaged means that tokens.json is damaged. Arguments: the file, what is wrong.
	TokenFileDamaged Code = "ERR_CULVERT_1007"
	// ServerCertificate means that --tls-cert and --tls-key cannot be used. Arguments: the certificate, the key, the error.
	ServerCertificate Code = "ERR_CULVERT_1008"
	// DomainInvalid means that --domain is not a base domain. Arguments: the value, what is wrong.
	DomainInvalid Code = "ERR_CULVERT_1009"
	// PortRangeInvalid means that --tcp-ports cannot be read. Arguments: the value, what is wrong.
	PortRangeInvalid Code = "ERR_CULVERT_1010"
	// BootstrapTokenInvalid means that the bootstrap authtoken has an impossible length. Argument: its length.
	BootstrapTokenInvalid Code = "ERR_CULVERT_1011"
	// CAUnusable means that the CA's files are damaged. Arguments: the directory, what is wrong.
	CAUnusable Code = "ERR_CULVERT_1012"
	// SettingInvalid means that a server setting has an impossible value. Arguments: the value, the setting, what is wrong.
	SettingInvalid Code = "ERR_CULVERT_1014"
	// ShutdownForced is shown when the grace period ends first. Argument: the number of connections.
	ShutdownForced Code = "ERR_CULVERT_1015"
	// SecretUnreadable means that a file named by a ..._FILE variable cannot be read. Arguments: the file, the error.
	SecretUnreadable Code = "ERR_CULVERT_1016"
	// ServerUsage means that the server's command line is wrong. Argument: what is wrong.
	ServerUsage Code = "ERR_CULVERT_1017"
	// DataDirOpen means that everybody may write to the data directory. Arguments: the directory, its mode.
	DataDirOpen Code = "ERR_CULVERT_1018"
	// AddressFilesUnusable means that a file of --geoip-db or --ip-categories cannot be used. Argument: the error, with the file.
	AddressFilesUnusable Code = "ERR_CULVERT_1019"
)

func serverEntries() []Entry {
	return []Entry{
		{
			Code: AddressFilesUnusable, Status: 0, Title: "A file with facts about addresses cannot be used",
			Message: "A file with facts about addresses cannot be used: %s.",
			Remedy:  "Check the files of --geoip-db (MaxMind's format) and the lists of --ip-categories (one address or range a line).",
		},
		{
			Code: ServerConfigInvalid, Status: 0, Title: "The server's configuration is not valid",
			Message: "The server's configuration is not valid: %s.",
			Remedy:  "Correct the file; every problem is named with its line and key.",
		},
		{
			Code: ServerConfigUnreadable, Status: 0, Title: "The server's configuration cannot be read",
			Message: "The configuration file %s cannot be read: %s.",
			Remedy:  "Check that the file exists and that the server's user may read it.",
		},
		{
			Code: ListenFailed, Status: 0, Title: "An address cannot be opened",
			Message: "The address %s for %s cannot be opened: %s.",
			Remedy:  "Stop the program that uses it, or choose another address with %[4]s.",
		},
		{
			Code: DataDirLocked, Status: 0, Title: "The data directory is in use",
			Message: "The data directory %s is in use by another culvertd.",
			Remedy:  "Stop the other one, or choose another directory with --data-dir.",
		},
		{
			Code: DataDirUnusable, Status: 0, Title: "The data directory cannot be used",
			Message: "The data directory %s cannot be used: %s.",
			Remedy:  "Make it writable for the server's user, or choose another one with --data-dir.",
		},
		{
			Code: SecretFileMode, Status: 0, Title: "A secret file can be read by others",
			Message: "The file %s holds secrets, but its mode is %s.",
			Remedy:  "Run \"chmod 600 %[1]s\".",
		},
		{
			Code: SealingKeyDamaged, Status: 0, Title: "The sealing key cannot be used",
			Message: "The sealing key %s cannot be used: %s.",
			Remedy:  "Put the key file in its place that the data, or the backup that was restored, was made with. Without it all credentials, secrets and resume tokens made so far are worthless; to start anew remove it together with the database.",
		},
		{
			Code: TokenFileDamaged, Status: 0, Title: "The authtoken file cannot be used",
			Message: "The authtoken file %s cannot be used: %s.",
			Remedy:  "Restore it from a backup, or remove it and make new authtokens.",
		},
		{
			Code: ServerCertificate, Status: 0, Title: "The TLS certificate cannot be used",
			Message: "The certificate %s with the key %s cannot be used: %s.",
			Remedy:  "Give a PEM certificate chain and its unencrypted PEM key, both or neither.",
		},
		{
			Code: DomainInvalid, Status: 0, Title: "The base domain is not valid",
			Message: "The base domain %q is not valid: %s.",
			Remedy:  "Give a name such as tunnel.example.com, without scheme, port or wildcard.",
		},
		{
			Code: PortRangeInvalid, Status: 0, Title: "The port range is not valid",
			Message: "The port range %q is not valid: %s.",
			Remedy:  "Write it as first-last, for example 20000-20999.",
		},
		{
			Code: BootstrapTokenInvalid, Status: 0, Title: "The first authtoken is not usable",
			Message: "The authtoken in CULVERT_BOOTSTRAP_AUTHTOKEN has %d characters; 20 to 256 are needed.",
			Remedy:  "Set a longer one, or unset it to have one made.",
		},
		{
			Code: CAUnusable, Status: 0, Title: "The development CA cannot be used",
			Message: "The development CA in %s cannot be used: %s.",
			Remedy:  "Restore ca.pem and its key from a backup, or remove both to have new ones made; agents then need the new fingerprint.",
		},
		{
			Code: SettingInvalid, Status: 0, Title: "The setting is not valid",
			Message: "The value %q of %s is not valid: %s.",
			Remedy:  "Correct it.",
		},
		{
			Code: ShutdownForced, Status: 0, Title: "Stopped before everything was finished",
			Message: "The server stopped while %d connections were open, because the grace period was over.",
			Remedy:  "Raise --shutdown-grace if these connections matter.",
		},
		{
			Code: SecretUnreadable, Status: 0, Title: "A secret cannot be read",
			Message: "The secret file %s cannot be read: %s.",
			Remedy:  "Check that the file exists and that the server's user may read it.",
		},
		{
			Code: ServerUsage, Status: 0, Title: "Wrong usage",
			Message: "%s.",
			Remedy:  "Run the command with --help to see how it is used.",
		},
		{
			Code: DataDirOpen, Status: 0, Title: "Everybody may write to the data directory",
			Message: "The data directory %s holds keys, but everybody may write to it (mode %s).",
			Remedy:  "If what lies in it is yours, run \"chmod 700 %[1]s\"; or choose another one with --data-dir, such as a new directory in it.",
		},
	}
}
