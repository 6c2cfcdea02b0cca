package api

import "time"

// UsagePath is where usage is.
const UsagePath = "/usage"

// Periods by which usage is grouped.
const (
	ByHour  = "hour"
	ByDay   = "day"
	ByMonth = "month"
)

// UsageQuery says what usage is asked for.
type UsageQuery struct {
	// From and To are the time, To not included. Periods of which a part lies in it count whole.
	From, To time.Time
	// Group is ByHour, ByDay or ByMonth.
	Group string
	// Endpoints asks for the usage of each endpoint, Endpoint for that of the one with this id, if it is not "".
	Endpoints bool
	Endpoint  string
}

// Usage is what an account, or one of its endpoints, did in a period (api.md 5).
type Usage struct {
	// Start and End are the period, End not included, in UTC.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Endpoint is whose usage it is, nil for all of the account, and URL its address.
	Endpoint *Ref   `json:"endpoint"`
	URL      string `json:"url"`
	UsageCounts
}

// UsageCounts are how much was done.
type UsageCounts struct {
	// HTTPRequests are those to http and https endpoints, Connections those to tcp and tls endpoints.
	HTTPRequests int64 `json:"http_requests"`
	Connections  int64 `json:"connections"`
	// DataOut are the bytes that left the server, to clients and to agents.
	DataOut int64 `json:"data_out_bytes"`
	// ActiveEndpointHours are the clock hours in which an endpoint sent anything, over all endpoints.
	ActiveEndpointHours int64 `json:"active_endpoint_hours"`
}

// Add adds what was done besides.
func (c *UsageCounts) Add(d UsageCounts) {
	c.HTTPRequests += d.HTTPRequests
	c.Connections += d.Connections
	c.DataOut += d.DataOut
	c.ActiveEndpointHours += d.ActiveEndpointHours
}

// UsagePage is the answer of the path /usage.
type UsagePage struct {
	// Usage are the periods in which something was done, the oldest first.
	Usage []Usage `json:"usage"`
	URI   string  `json:"uri"`
	// NextPageURI is where there is more, nil for nowhere.
	NextPageURI *string `json:"next_page_uri"`
}

// UsageParameters are those of the query, as fields of a request.
func UsageParameters() []Field {
	return []Field{
		{Name: "from", Create: Optional, Type: Time, Doc: "the beginning, like 2026-11-01 or 2026-11-01T15:00:00Z (default: that of this month)"},
		{Name: "to", Create: Optional, Type: Time, Doc: "the end (default: now)"},
		{Name: "group", Create: Optional, Enum: []string{ByHour, ByDay, ByMonth}, Doc: "the length of the periods (default: day)"},
		{Name: "endpoints", Create: Optional, Type: Bool, Doc: "show each endpoint by itself"},
		{Name: "endpoint", Create: Optional, Ref: "ep", Doc: "show this endpoint alone"},
	}
}

// UsageTable describes the answer for tables.
func UsageTable() *Resource {
	return &Resource{Name: "usage", Path: UsagePath, ListKey: "usage", Answer: Usage{}, Fields: []Field{
		{Name: "start", Type: Time},
		{Name: "endpoint", Type: RefType},
		{Name: "url"},
		{Name: "http_requests", Type: Number},
		{Name: "connections", Type: Number},
		{Name: "data_out_bytes", Type: Number},
		{Name: "active_endpoint_hours", Type: Number},
	}}
}
