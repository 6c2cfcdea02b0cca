package tunnel

import (
	"encoding/json"
	"fmt"
)

// cookiePurpose separates cookies from everything else that is sealed with the
// same key.
const cookiePurpose = "agent-session-cookie"

// maxCookie bounds the cookie text that is looked at. Ours have about 250 bytes.
const maxCookie = 4 << 10

// Sealer keeps what an agent carries for the server secret and unchanged.
type Sealer interface {
	// Seal encrypts and authenticates plaintext for one purpose.
	Seal(purpose string, plaintext []byte) string
	// Open returns what was sealed for the same purpose.
	Open(purpose, text string) ([]byte, error)
}

// cookie is what an agent brings back when it reconnects, so that it keeps its
// ids even if the server has forgotten it. It belongs to the session, not to a
// leg: some agents share one cookie between legs.
type cookie struct {
	Account, ClientID, SessionID string
}

func (c cookie) seal(s Sealer) (string, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("seal cookie: %w", err)
	}
	return s.Seal(cookiePurpose, plain), nil
}

// openCookie returns the cookie in text. Text that is not a cookie of ours is
// not an error: its holder is a new agent.
func openCookie(s Sealer, text string) (cookie, bool) {
	if text == "" || len(text) > maxCookie {
		return cookie{}, false
	}
	plain, err := s.Open(cookiePurpose, text)
	if err != nil {
		return cookie{}, false
	}
	var c cookie
	if err := json.Unmarshal(plain, &c); err != nil {
		return cookie{}, false
	}
	return c, c.ClientID != "" && c.SessionID != ""
}
