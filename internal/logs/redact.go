package logs

import (
	"log/slog"
	"net/url"
	"strings"
)

// secretKeys are the attribute names whose values are masked whatever they
// hold. Names are compared in lower case and by their last dotted part.
var secretKeys = []string{
	"token", "authtoken", "auth_token", "api_key", "apikey", "authorization", "proxy-authorization",
	"cookie", "set-cookie", "password", "secret", "private_key", "client_secret", "credential",
}

// Mask hides a secret but for its last four characters, which is enough to tell
// two tokens apart. Secrets of eight characters or fewer are hidden whole.
func Mask(secret string) string {
	if secret == "" {
		return ""
	}
	if len(secret) <= 8 {
		return "***"
	}
	return "***" + secret[len(secret)-4:]
}

// redact masks a value that must not be logged: by the name of its key, or
// because it is a URL that carries a password.
func redact(key string, v slog.Value) slog.Value {
	name := strings.ToLower(key[strings.LastIndexByte(key, '.')+1:])
	for _, s := range secretKeys {
		if name == s {
			return slog.StringValue(Mask(valueText(v)))
		}
	}
	if v.Kind() == slog.KindString && strings.Contains(v.String(), "@") {
		return slog.StringValue(hideUserinfo(v.String()))
	}
	return v
}

// hideUserinfo masks the password of a URL; other text comes back unchanged.
func hideUserinfo(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	return u.Redacted()
}
