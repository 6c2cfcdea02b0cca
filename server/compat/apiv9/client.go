package apiv9

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	ngrok "github.com/ngrok/ngrok-api-go/v9"
	"github.com/ngrok/ngrok-api-go/v9/abuse_reports"
	"github.com/ngrok/ngrok-api-go/v9/agent_ingresses"
	"github.com/ngrok/ngrok-api-go/v9/ai_gateway_api_keys"
	"github.com/ngrok/ngrok-api-go/v9/ai_gateway_provider_keys"
	"github.com/ngrok/ngrok-api-go/v9/api_keys"
	"github.com/ngrok/ngrok-api-go/v9/application_sessions"
	"github.com/ngrok/ngrok-api-go/v9/application_users"
	"github.com/ngrok/ngrok-api-go/v9/backends/failover"
	"github.com/ngrok/ngrok-api-go/v9/backends/http_response"
	"github.com/ngrok/ngrok-api-go/v9/backends/static_address"
	"github.com/ngrok/ngrok-api-go/v9/backends/tunnel_group"
	"github.com/ngrok/ngrok-api-go/v9/backends/weighted"
	"github.com/ngrok/ngrok-api-go/v9/bot_users"
	"github.com/ngrok/ngrok-api-go/v9/certificate_authorities"
	"github.com/ngrok/ngrok-api-go/v9/credentials"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_mutual_tls"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_backend"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_circuit_breaker"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_compression"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_ip_restriction"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_oauth"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_oidc"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_request_headers"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_response_headers"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_saml"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_traffic_policy"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_user_agent_filter"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_webhook_verification"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_route_websocket_tcp_converter"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/https_edge_tls_termination"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/tcp_edge_backend"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/tcp_edge_ip_restriction"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/tcp_edge_traffic_policy"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/tls_edge_backend"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/tls_edge_ip_restriction"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/tls_edge_mutual_tls"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/tls_edge_tls_termination"
	"github.com/ngrok/ngrok-api-go/v9/edge_modules/tls_edge_traffic_policy"
	"github.com/ngrok/ngrok-api-go/v9/edges/https"
	"github.com/ngrok/ngrok-api-go/v9/edges/https_routes"
	"github.com/ngrok/ngrok-api-go/v9/edges/tcp"
	"github.com/ngrok/ngrok-api-go/v9/edges/tls"
	"github.com/ngrok/ngrok-api-go/v9/endpoints"
	"github.com/ngrok/ngrok-api-go/v9/event_destinations"
	"github.com/ngrok/ngrok-api-go/v9/event_sources"
	"github.com/ngrok/ngrok-api-go/v9/event_subscriptions"
	"github.com/ngrok/ngrok-api-go/v9/ip_policies"
	"github.com/ngrok/ngrok-api-go/v9/ip_policy_rules"
	"github.com/ngrok/ngrok-api-go/v9/ip_restrictions"
	"github.com/ngrok/ngrok-api-go/v9/kubernetes_operators"
	"github.com/ngrok/ngrok-api-go/v9/reserved_addrs"
	"github.com/ngrok/ngrok-api-go/v9/reserved_domains"
	"github.com/ngrok/ngrok-api-go/v9/secrets"
	"github.com/ngrok/ngrok-api-go/v9/service_users"
	"github.com/ngrok/ngrok-api-go/v9/ssh_certificate_authorities"
	"github.com/ngrok/ngrok-api-go/v9/ssh_credentials"
	"github.com/ngrok/ngrok-api-go/v9/ssh_host_certificates"
	"github.com/ngrok/ngrok-api-go/v9/ssh_user_certificates"
	"github.com/ngrok/ngrok-api-go/v9/tls_certificates"
	"github.com/ngrok/ngrok-api-go/v9/tunnel_sessions"
	"github.com/ngrok/ngrok-api-go/v9/tunnels"
	"github.com/ngrok/ngrok-api-go/v9/vaults"

	"github.com/culvert-project/culvert/server/compat/apisuite"
)

// New returns the client for a key of the API at a URL. Its requests go by via.
func New(at, key string, via *http.Client) *apisuite.Client {
	cfg := ngrok.NewClientConfig(key, ngrok.WithBaseURL(at), ngrok.WithHTTPClient(via))
	return &apisuite.Client{
		Name: "v9.0.0", EmptyLists: true, NotFound: ngrok.IsNotFound, HasCode: ngrok.IsErrorCode, Failure: failure,
		Do: func(ctx context.Context, method, path string, body, answer any) error {
			return ngrok.NewBaseClient(cfg).Do(ctx, method, &url.URL{Path: path}, body, answer)
		},
		Packages: packages(cfg),
	}
}

// packages are all packages of the client, those for what nobody has any more among them.
func packages(cfg *ngrok.ClientConfig) map[string]any {
	return map[string]any{
		"abuse_reports":                                         abuse_reports.NewClient(cfg),
		"agent_ingresses":                                       agent_ingresses.NewClient(cfg),
		"ai_gateway_api_keys":                                   ai_gateway_api_keys.NewClient(cfg),
		"ai_gateway_provider_keys":                              ai_gateway_provider_keys.NewClient(cfg),
		"api_keys":                                              api_keys.NewClient(cfg),
		"application_sessions":                                  application_sessions.NewClient(cfg),
		"application_users":                                     application_users.NewClient(cfg),
		"backends/failover":                                     failover.NewClient(cfg),
		"backends/http_response":                                http_response.NewClient(cfg),
		"backends/static_address":                               static_address.NewClient(cfg),
		"backends/tunnel_group":                                 tunnel_group.NewClient(cfg),
		"backends/weighted":                                     weighted.NewClient(cfg),
		"bot_users":                                             bot_users.NewClient(cfg),
		"certificate_authorities":                               certificate_authorities.NewClient(cfg),
		"credentials":                                           credentials.NewClient(cfg),
		"edge_modules/https_edge_mutual_tls":                    https_edge_mutual_tls.NewClient(cfg),
		"edge_modules/https_edge_route_backend":                 https_edge_route_backend.NewClient(cfg),
		"edge_modules/https_edge_route_circuit_breaker":         https_edge_route_circuit_breaker.NewClient(cfg),
		"edge_modules/https_edge_route_compression":             https_edge_route_compression.NewClient(cfg),
		"edge_modules/https_edge_route_ip_restriction":          https_edge_route_ip_restriction.NewClient(cfg),
		"edge_modules/https_edge_route_oauth":                   https_edge_route_oauth.NewClient(cfg),
		"edge_modules/https_edge_route_oidc":                    https_edge_route_oidc.NewClient(cfg),
		"edge_modules/https_edge_route_request_headers":         https_edge_route_request_headers.NewClient(cfg),
		"edge_modules/https_edge_route_response_headers":        https_edge_route_response_headers.NewClient(cfg),
		"edge_modules/https_edge_route_saml":                    https_edge_route_saml.NewClient(cfg),
		"edge_modules/https_edge_route_traffic_policy":          https_edge_route_traffic_policy.NewClient(cfg),
		"edge_modules/https_edge_route_user_agent_filter":       https_edge_route_user_agent_filter.NewClient(cfg),
		"edge_modules/https_edge_route_webhook_verification":    https_edge_route_webhook_verification.NewClient(cfg),
		"edge_modules/https_edge_route_websocket_tcp_converter": https_edge_route_websocket_tcp_converter.NewClient(cfg),
		"edge_modules/https_edge_tls_termination":               https_edge_tls_termination.NewClient(cfg),
		"edge_modules/tcp_edge_backend":                         tcp_edge_backend.NewClient(cfg),
		"edge_modules/tcp_edge_ip_restriction":                  tcp_edge_ip_restriction.NewClient(cfg),
		"edge_modules/tcp_edge_traffic_policy":                  tcp_edge_traffic_policy.NewClient(cfg),
		"edge_modules/tls_edge_backend":                         tls_edge_backend.NewClient(cfg),
		"edge_modules/tls_edge_ip_restriction":                  tls_edge_ip_restriction.NewClient(cfg),
		"edge_modules/tls_edge_mutual_tls":                      tls_edge_mutual_tls.NewClient(cfg),
		"edge_modules/tls_edge_tls_termination":                 tls_edge_tls_termination.NewClient(cfg),
		"edge_modules/tls_edge_traffic_policy":                  tls_edge_traffic_policy.NewClient(cfg),
		"edges/https":                                           https.NewClient(cfg),
		"edges/https_routes":                                    https_routes.NewClient(cfg),
		"edges/tcp":                                             tcp.NewClient(cfg),
		"edges/tls":                                             tls.NewClient(cfg),
		"endpoints":                                             endpoints.NewClient(cfg),
		"event_destinations":                                    event_destinations.NewClient(cfg),
		"event_sources":                                         event_sources.NewClient(cfg),
		"event_subscriptions":                                   event_subscriptions.NewClient(cfg),
		"ip_policies":                                           ip_policies.NewClient(cfg),
		"ip_policy_rules":                                       ip_policy_rules.NewClient(cfg),
		"ip_restrictions":                                       ip_restrictions.NewClient(cfg),
		"kubernetes_operators":                                  kubernetes_operators.NewClient(cfg),
		"reserved_addrs":                                        reserved_addrs.NewClient(cfg),
		"reserved_domains":                                      reserved_domains.NewClient(cfg),
		"secrets":                                               secrets.NewClient(cfg),
		"service_users":                                         service_users.NewClient(cfg),
		"ssh_certificate_authorities":                           ssh_certificate_authorities.NewClient(cfg),
		"ssh_credentials":                                       ssh_credentials.NewClient(cfg),
		"ssh_host_certificates":                                 ssh_host_certificates.NewClient(cfg),
		"ssh_user_certificates":                                 ssh_user_certificates.NewClient(cfg),
		"tls_certificates":                                      tls_certificates.NewClient(cfg),
		"tunnel_sessions":                                       tunnel_sessions.NewClient(cfg),
		"tunnels":                                               tunnels.NewClient(cfg),
		"vaults":                                                vaults.NewClient(cfg),
	}
}

func failure(err error) (apisuite.Failure, bool) {
	e, ok := errors.AsType[*ngrok.Error](err)
	if !ok {
		return apisuite.Failure{}, false
	}
	return apisuite.Failure{Status: int(e.StatusCode), Code: e.ErrorCode, Msg: e.Msg, Details: e.Details, Operation: e.OperationID()}, true
}
