package config

import (
	"time"

	"github.com/culvert-project/culvert/internal/strictyaml"
)

// Text is a scalar of any kind, kept as it is written: keys that take words and
// booleans alike (log: false, console_ui: iftty), and version: 3 or "3".
type Text string

// UnmarshalText takes the text of any YAML scalar.
func (t *Text) UnmarshalText(b []byte) error {
	*t = Text(b)
	return nil
}

// Agent holds the keys of the section agent (reference: agent, 4.5).
type Agent struct {
	Authtoken            string        `yaml:"authtoken"`
	APIKey               string        `yaml:"api_key"`
	APIURL               string        `yaml:"api_url"`
	APICAs               string        `yaml:"api_cas"`
	ConnectURL           string        `yaml:"connect_url"`
	ConnectCAs           string        `yaml:"connect_cas"`
	ConnectCAFingerprint string        `yaml:"connect_ca_fingerprint"`
	ConnectInterface     string        `yaml:"connect_interface"`
	ConnectTimeout       time.Duration `yaml:"connect_timeout"`
	ConnectTLSMin        Text          `yaml:"connect_tls_min"`
	ConnectTLSMax        Text          `yaml:"connect_tls_max"`
	ConnectLegs          Text          `yaml:"connect_legs"`
	CRLNoVerify          bool          `yaml:"crl_noverify"`
	CRLURL               string        `yaml:"crl_url"`
	DNSResolverIPs       []string      `yaml:"dns_resolver_ips"`
	HeartbeatInterval    time.Duration `yaml:"heartbeat_interval"`
	HeartbeatTolerance   time.Duration `yaml:"heartbeat_tolerance"`
	ProxyURL             string        `yaml:"proxy_url"`
	TCPKeepAlive         time.Duration `yaml:"tcp_keepalive"`
	Metadata             string        `yaml:"metadata"`
	RemoteManagement     bool          `yaml:"remote_management"`
	ConsoleUI            Text          `yaml:"console_ui"`
	ConsoleUIColor       string        `yaml:"console_ui_color"`
	Log                  Text          `yaml:"log"`
	LogLevel             string        `yaml:"log_level"`
	LogFormat            string        `yaml:"log_format"`
	Region               string        `yaml:"region"`

	// The keys below belong to parts of the agent that do not exist yet. They
	// are read so that a file may carry them, and have no effect; none of them
	// protects anything while its part is missing.
	InspectDBSize int64    `yaml:"inspect_db_size"`
	LocalStorage  bool     `yaml:"local_storage"`
	WebAddr       Text     `yaml:"web_addr"`
	WebAllowHosts []string `yaml:"web_allow_hosts"`
	WebAuth       string   `yaml:"web_auth"`
	UpdateCheck   bool     `yaml:"update_check"`
	UpdateChannel string   `yaml:"update_channel"`
}

// Defaults returns the values of keys that nobody set.
func Defaults() Agent {
	return Agent{
		ConnectTimeout:     10 * time.Second,
		HeartbeatInterval:  10 * time.Second,
		HeartbeatTolerance: 15 * time.Second,
		TCPKeepAlive:       15 * time.Second,
		RemoteManagement:   true,
		ConsoleUI:          "iftty",
		LogLevel:           "info",
	}
}

// Endpoint is one entry of the list endpoints (reference: agent, 4.6).
type Endpoint struct {
	Name              string            `yaml:"name"`
	URL               string            `yaml:"url"`
	Bindings          []string          `yaml:"bindings"`
	Binding           string            `yaml:"binding"`
	PoolingEnabled    bool              `yaml:"pooling_enabled"`
	Description       string            `yaml:"description"`
	Metadata          string            `yaml:"metadata"`
	TrafficPolicy     strictyaml.Source `yaml:"traffic_policy"`
	TrafficPolicyFile string            `yaml:"traffic_policy_file"`
	TrafficPolicyURL  string            `yaml:"traffic_policy_url"`
	Inspect           bool              `yaml:"inspect"`
	Upstream          Upstream          `yaml:"upstream"`
	AgentTLS          *AgentTLS         `yaml:"agent_tls_termination"`
}

// Upstream is the section upstream of an endpoint.
type Upstream struct {
	URL                  Text   `yaml:"url"`
	Protocol             string `yaml:"protocol"`
	ProxyProtocol        Text   `yaml:"proxy_protocol"`
	TLSVerify            *bool  `yaml:"tls_verify"`
	TLSVerifyCAs         string `yaml:"tls_verify_cas"`
	TLSClientCertificate string `yaml:"tls_client_certificate"`
	TLSClientKey         string `yaml:"tls_client_key"`
	TLSServerName        string `yaml:"tls_server_name"`
	HostHeader           string `yaml:"host_header"`
}

// AgentTLS is the section agent_tls_termination of an endpoint. Certificates,
// keys and authorities are paths or PEM texts.
type AgentTLS struct {
	Certificate string   `yaml:"server_certificate"`
	Key         string   `yaml:"server_private_key"`
	ClientCAs   []string `yaml:"mutual_tls_certificate_authorities"`
	MinVersion  Text     `yaml:"min_version"`
	MaxVersion  Text     `yaml:"max_version"`
}

// Tunnel is one entry of the older map tunnels (reference: agent, 4.7).
type Tunnel struct {
	Proto     string   `yaml:"proto"`
	Addr      Text     `yaml:"addr"`
	Metadata  string   `yaml:"metadata"`
	Inspect   bool     `yaml:"inspect"`
	ProxyProt Text     `yaml:"proxy_proto"`
	Domain    string   `yaml:"domain"`
	Hostname  string   `yaml:"hostname"`
	Subdomain string   `yaml:"subdomain"`
	Schemes   []string `yaml:"schemes"`
	HostHdr   string   `yaml:"host_header"`
	AppProto  string   `yaml:"app_protocol"`
	Remote    string   `yaml:"remote_addr"`
	Crt       string   `yaml:"crt"`
	Key       string   `yaml:"key"`
	MutualTLS string   `yaml:"mutual_tls_cas"`
	Terminate string   `yaml:"terminate_at"`
	Labels    []string `yaml:"labels"`

	TrafficPolicy strictyaml.Source `yaml:"traffic_policy"`
	Policy        strictyaml.Source `yaml:"policy"` // the older name

	BasicAuth      []string `yaml:"basic_auth"`
	CircuitBreaker *float64 `yaml:"circuit_breaker"`
	Compression    bool     `yaml:"compression"`
	IPRestriction  CIDRs    `yaml:"ip_restriction"`
	ReqHeader      Headers  `yaml:"request_header"`
	RespHeader     Headers  `yaml:"response_header"`
	UAFilter       Patterns `yaml:"user_agent_filter"`

	// What follows asks the server for something that is not built yet.
	OAuth         any `yaml:"oauth"`
	OIDC          any `yaml:"oidc"`
	VerifyWebhook any `yaml:"verify_webhook"`
	WSConverter   any `yaml:"websocket_tcp_converter"`
}

// CIDRs is the section ip_restriction of a tunnel.
type CIDRs struct {
	Allow []string `yaml:"allow_cidrs"`
	Deny  []string `yaml:"deny_cidrs"`
}

// Headers is a section of headers to change of a tunnel.
type Headers struct {
	Remove []string `yaml:"remove"`
	Add    []string `yaml:"add"`
}

// Patterns is the section user_agent_filter of a tunnel.
type Patterns struct {
	Allow []string `yaml:"allow"`
	Deny  []string `yaml:"deny"`
}

// version3 is a whole file of version 3.
type version3 struct {
	Version   Text              `yaml:"version"`
	Merge     string            `yaml:"merge"`
	Agent     Agent             `yaml:"agent"`
	Endpoints []Endpoint        `yaml:"endpoints"`
	Tunnels   map[string]Tunnel `yaml:"tunnels"`
}

// version2 is a whole file of version 2: the agent's keys at the top, some of
// them under older names (reference: agent, 4.8).
type version2 struct {
	Version     Text `yaml:"version"`
	Agent       `yaml:",inline"`
	RootCAs     string            `yaml:"root_cas"`
	ServerAddr  string            `yaml:"server_addr"`
	HTTPProxy   string            `yaml:"http_proxy"`
	SOCKS5Proxy string            `yaml:"socks5_proxy"`
	Update      bool              `yaml:"update"`
	Tunnels     map[string]Tunnel `yaml:"tunnels"`
}
