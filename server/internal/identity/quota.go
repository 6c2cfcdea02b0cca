package identity

import (
	"maps"
	"slices"
)

// Quota names a limit of an account (api.md 5). One that is not set bounds nothing.
type Quota string

// The quotas. Those of a month count by calendar months in UTC.
const (
	QuotaEndpoints            Quota = "endpoints"
	QuotaAgents               Quota = "agents"
	QuotaUsers                Quota = "users"
	QuotaServiceUsers         Quota = "service_users"
	QuotaBaseDomains          Quota = "base_domains"
	QuotaCustomDomains        Quota = "custom_domains"
	QuotaWildcardDomains      Quota = "wildcard_domains"
	QuotaTCPAddresses         Quota = "tcp_addresses"
	QuotaVaults               Quota = "vaults"
	QuotaSecrets              Quota = "secrets"
	QuotaPolicyRules          Quota = "policy_rules"
	QuotaRequestsPerMonth     Quota = "http_requests_per_month"
	QuotaConnectionsPerMonth  Quota = "connections_per_month"
	QuotaDataOutPerMonth      Quota = "data_out_per_month"
	QuotaRequestsPerMinute    Quota = "http_requests_per_minute"
	QuotaConnectionsPerMinute Quota = "connections_per_minute"
)

// quotas are all of them with what they bound.
var quotas = map[Quota]string{
	QuotaEndpoints:            "endpoints that are online: those of agents, and those that stand on the server",
	QuotaAgents:               "agents connected at a time",
	QuotaUsers:                "users",
	QuotaServiceUsers:         "service users",
	QuotaBaseDomains:          "reserved names under the base domains",
	QuotaCustomDomains:        "reserved names outside them",
	QuotaWildcardDomains:      "reserved wildcards; they count as names, too",
	QuotaTCPAddresses:         "reserved TCP addresses",
	QuotaVaults:               "vaults",
	QuotaSecrets:              "secrets in all vaults",
	QuotaPolicyRules:          "rules of one policy",
	QuotaRequestsPerMonth:     "requests to http and https endpoints in a calendar month",
	QuotaConnectionsPerMonth:  "connections to tcp and tls endpoints in a calendar month",
	QuotaDataOutPerMonth:      "bytes sent, to clients and to agents, in a calendar month",
	QuotaRequestsPerMinute:    "requests to http and https endpoints in any minute",
	QuotaConnectionsPerMinute: "connections of clients to all endpoints in any minute",
}

// Quotas returns all quotas in alphabetical order.
func Quotas() []Quota { return slices.Sorted(maps.Keys(quotas)) }

// Doc says in a phrase what a quota bounds; it is "" for an unknown one.
func (q Quota) Doc() string { return quotas[q] }

// Limiter returns what [Roster.Limit] says of one quota.
func (r *Roster) Limiter(q Quota) func(account string) (limit int64, ok bool) {
	return func(account string) (int64, bool) { return r.Limit(account, q) }
}

// Limit returns the limit of an account, and whether it has one.
func (r *Roster) Limit(account string, q Quota) (limit int64, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	limit, ok = r.known.accounts[account].Limits[q]
	return limit, ok
}
