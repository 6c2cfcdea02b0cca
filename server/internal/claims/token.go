package claims

import (
	"encoding/json"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// tokenPurpose separates resume tokens from everything else that is sealed with the same key.
const tokenPurpose = "endpoint-resume-token"

// maxToken bounds the token text that is looked at. Ours have at most about 700 bytes.
const maxToken = 4 << 10

// token is what an agent carries for the server so that it gets its endpoint back, also from a server that
// has forgotten it. It has no end: agents keep the first one they got.
type token struct {
	Account string           `json:"a"`
	ID      string           `json:"i"`
	Binding endpoint.Binding `json:"b"`
	Scheme  endpoint.Scheme  `json:"s"`
	Host    string           `json:"h"`
	Port    uint16           `json:"p"`
	Random  bool             `json:"r,omitempty"`
}

func tokenOf(c *claim) token {
	return token{
		Account: c.account, ID: c.id, Binding: BindingOf(c.url),
		Scheme: c.url.Scheme, Host: c.url.Host, Port: c.url.Port, Random: c.random,
	}
}

func (t token) url() endpoint.URL { return endpoint.URL{Scheme: t.Scheme, Host: t.Host, Port: t.Port} }

func (t token) seal(s Sealer) string {
	plain, err := json.Marshal(t)
	if err != nil {
		panic("claims: " + err.Error()) // a struct of strings and numbers
	}
	return s.Seal(tokenPurpose, plain)
}

// openToken returns the token in text if it is one of the account's. Any other text is no error: the bind is
// then a new one.
func openToken(s Sealer, account, text string) (token, bool) {
	if text == "" || len(text) > maxToken {
		return token{}, false
	}
	plain, err := s.Open(tokenPurpose, text)
	if err != nil {
		return token{}, false
	}
	var t token
	if err := json.Unmarshal(plain, &t); err != nil {
		return token{}, false
	}
	return t, t.Account == account && t.Binding == BindingOf(t.url()) && t.ID != ""
}
