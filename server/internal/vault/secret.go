package vault

import "log/slog"

// hidden is what a Secret shows.
const hidden = "***"

// Secret is text that must not be seen: it prints as "***" with every verb, in JSON and in logs.
type Secret string

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "***", or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString returns what String returns, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText returns what String returns, for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns what String returns, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Mask returns a credential's last four characters behind dots, for messages to its owner. Text too short to
// hide the rest shows nothing of itself.
func Mask(credential string) string {
	const shown, least = 4, 12
	if len(credential) < least {
		return hidden
	}
	return hidden + credential[len(credential)-shown:]
}
