package vault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/vault"
)

func TestK4_Envelope(t *testing.T) {
	t.Parallel()
	v, err := vault.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const place = "ac_1/vault_secret/secret_1"
	sealed := v.SealValue(place, vault.Secret("s3cret"))
	if again := v.SealValue(place, vault.Secret("s3cret")); again == sealed || strings.Contains(sealed, "s3cret") {
		t.Errorf("the same value is sealed the same way, or not at all: %s", sealed)
	}
	wrapped, err := v.Rewrap(sealed)
	if err != nil || wrapped == sealed {
		t.Fatalf("Rewrap = %q, %v, want another envelope", wrapped, err)
	}
	for _, e := range []string{sealed, wrapped} {
		if got, err := v.OpenValue(place, e); err != nil || string(got) != "s3cret" {
			t.Errorf("OpenValue = %q, %v, want the value", []byte(got), err)
		}
	}
	other, err := vault.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (vault.Secret, error){
		"another place": func() (vault.Secret, error) { return v.OpenValue("ac_2/vault_secret/secret_1", sealed) },
		"another vault": func() (vault.Secret, error) { return other.OpenValue(place, sealed) },
		"cut":           func() (vault.Secret, error) { return v.OpenValue(place, sealed[:len(sealed)-2]) },
		"no envelope":   func() (vault.Secret, error) { return v.OpenValue(place, "x") },
		"empty":         func() (vault.Secret, error) { return v.OpenValue(place, "") },
		"only a key":    func() (vault.Secret, error) { return v.OpenValue(place, strings.Split(sealed, ".")[0]+".") },
	} {
		if got, err := open(); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("%s: OpenValue = %q, %v, want %v", name, []byte(got), err, vault.ErrSealed)
		}
	}
}

func TestSecretDoesNotShow(t *testing.T) {
	t.Parallel()
	s := vault.Secret("s3cret")
	asJSON, err := json.Marshal(map[string]any{"value": s})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", s)
	all := fmt.Sprintf("%v %s %q %x %#v %+v %d %s %s", s, s, s, s, s, struct{ S vault.Secret }{s}, s, asJSON, log.String())
	for _, form := range []string{"s3cret", fmt.Sprintf("%x", "s3cret"), "115"} {
		if strings.Contains(all, form) {
			t.Errorf("the value shows as %s in %s", form, all)
		}
	}
}
