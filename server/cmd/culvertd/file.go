package main

// fileKeys are the keys of the YAML file. Only the limits are decoded into it:
// the rest stands here so that unknown keys are told from known ones, and its
// values go the same way as those of flags and variables.
type fileKeys struct {
	DataDir            scalar `yaml:"data_dir"`
	Domain             any    `yaml:"domain"`
	HTTPAddr           scalar `yaml:"http_addr"`
	HTTPSAddr          scalar `yaml:"https_addr"`
	AgentAddr          scalar `yaml:"agent_addr"`
	APIAddr            scalar `yaml:"api_addr"`
	SSHAddr            scalar `yaml:"ssh_addr"`
	TCPAddr            scalar `yaml:"tcp_addr"`
	TCPPorts           scalar `yaml:"tcp_ports"`
	TLSCert            scalar `yaml:"tls_cert"`
	TLSKey             scalar `yaml:"tls_key"`
	AdvertiseHTTPPort  scalar `yaml:"advertise_http_port"`
	AdvertiseHTTPSPort scalar `yaml:"advertise_https_port"`
	AdvertiseAgent     scalar `yaml:"advertise_agent"`
	AdvertiseAPI       scalar `yaml:"advertise_api"`
	APITLS             scalar `yaml:"api_tls"`
	APIOnHTTPS         scalar `yaml:"api_on_https"`
	APIOrigins         any    `yaml:"api_origins"`
	MasterKeyFile      scalar `yaml:"master_key_file"`
	GeoIPDB            any    `yaml:"geoip_db"`
	IPCategories       scalar `yaml:"ip_categories"`
	PolicyEgress       scalar `yaml:"policy_egress"`
	OutboundAllow      any    `yaml:"outbound_allow"`
	Region             scalar `yaml:"region"`
	ACMEEmail          scalar `yaml:"acme_email"`
	ACMEDirectory      any    `yaml:"acme_directory"`
	ACMECA             scalar `yaml:"acme_ca"`
	ACMEEABKid         scalar `yaml:"acme_eab_kid"`
	ACMEEABHMACFile    scalar `yaml:"acme_eab_hmac_file"`
	ACMEDNS            scalar `yaml:"acme_dns"`
	LogFormat          scalar `yaml:"log_format"`
	LogLevel           scalar `yaml:"log_level"`
	AccessLog          scalar `yaml:"access_log"`
	ShutdownGrace      scalar `yaml:"shutdown_grace"`
	TrustedProxies     any    `yaml:"trusted_proxies"`
	ExtraListeners     any    `yaml:"extra_listeners"`
	RedirectHTTP       scalar `yaml:"redirect_http"`
	ForwardedHeaders   scalar `yaml:"forwarded_headers"`
	Limits             limits `yaml:"limits"`
}

// scalar takes any scalar; its text is read from the document.
type scalar struct{}

// UnmarshalText accepts every text.
func (*scalar) UnmarshalText([]byte) error { return nil }
