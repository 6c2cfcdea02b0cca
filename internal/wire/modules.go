package wire

// Modules are what clients asked of a server before there were traffic
// policies, and still may. Those that are not set are nil.
type Modules struct {
	IPRestriction   *IPRestriction   `json:",omitempty"`
	UserAgentFilter *UserAgentFilter `json:",omitempty"`
	BasicAuth       *BasicAuth       `json:",omitempty"`
	CircuitBreaker  *CircuitBreaker  `json:",omitempty"`
	RequestHeaders  *Headers         `json:",omitempty"`
	ResponseHeaders *Headers         `json:",omitempty"`
	// Compression asks for compressed responses. It has no settings.
	Compression *struct{} `json:",omitempty"`
}

// IPRestriction says from where clients may come: from an allowed address or
// range that is not denied.
type IPRestriction struct {
	Allow []string `json:"allow_cidrs,omitempty"`
	Deny  []string `json:"deny_cidrs,omitempty"`
}

// UserAgentFilter says which programs may send requests, by regular expressions
// over the User-Agent header.
type UserAgentFilter struct {
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// BasicAuth asks clients for one of these pairs of name and password.
type BasicAuth struct {
	Credentials []Credential `json:"credentials,omitempty"`
}

// Credential is a name with its password.
type Credential struct {
	Username string `json:"username,omitempty"`
	Password string `json:"cleartext_password,omitempty"`
	// Hashed is a password that only its maker can compare; Culvert has none.
	Hashed []byte `json:"hashed_password,omitempty"`
}

// CircuitBreaker holds requests back for a while when too many have failed.
type CircuitBreaker struct {
	// Threshold is the share of failed requests, 0 to 1.
	Threshold float64 `json:"error_threshold,omitempty"`
}

// Headers changes the headers of requests or of responses: what is removed goes
// before something is added.
type Headers struct {
	// Add holds texts name:value.
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}
