package api

import "time"

// Root is the answer of the path / (api.md 2.19).
type Root struct {
	URI string `json:"uri"`
	// SubresourceURIs are the collections by their names.
	SubresourceURIs map[string]string `json:"subresource_uris"`
}

// Self is the answer of the path /self: who the caller is.
type Self struct {
	Account Account `json:"account"`
	// APIKey is the key in use, as /api_keys answers it.
	APIKey any `json:"api_key"`
	// User is the e-mail address of the user, "" for a service user.
	User string `json:"user"`
}

// Account is an account as its members see it.
type Account struct {
	ID                 string    `json:"id"`
	Name               string    `json:"name"`
	CreatedAt          time.Time `json:"created_at"`
	Suspended          bool      `json:"suspended"`
	EnforceSSO         bool      `json:"enforce_sso"`
	MinAPIVersion      string    `json:"min_api_version"`
	MinAgentVersion    string    `json:"min_agent_version"`
	UserMFARequired    bool      `json:"user_mfa_required"`
	TrafficFullCapture bool      `json:"traffic_full_capture"`
}
