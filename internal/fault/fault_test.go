package fault_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

func TestCatalogueIsWellFormed(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^ERR_(NGROK|CULVERT)_[0-9]{3,5}$`)
	verb := regexp.MustCompile(`%(\[\d\])?[^sdq%\[]`)
	for _, e := range fault.All() {
		t.Run(string(e.Code), func(t *testing.T) {
			t.Parallel()
			if !form.MatchString(string(e.Code)) {
				t.Errorf("code %q has not the form %s", e.Code, form)
			}
			if e.Title == "" || strings.HasSuffix(e.Title, ".") || strings.Contains(e.Title, "%") {
				t.Errorf("title %q: want a phrase without full stop and verbs", e.Title)
			}
			for what, text := range map[string]string{"message": e.Message, "remedy": e.Remedy} {
				if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "?") {
					t.Errorf("%s %q: want a sentence with its full stop", what, text)
				}
				if strings.ContainsAny(text, "\r\n") || strings.Contains(text, "ERR_") {
					t.Errorf("%s %q: want one line without a code", what, text)
				}
				if bad := verb.FindString(text); bad != "" {
					t.Errorf("%s %q: verb %q; only %%s, %%d and %%q are used", what, text, bad)
				}
			}
			if e.Status != 0 && (e.Status < 400 || e.Status > 599) {
				t.Errorf("status %d: want 0 or an HTTP error", e.Status)
			}
		})
	}
}

func TestAllIsSorted(t *testing.T) {
	t.Parallel()
	all := fault.All()
	if len(all) == 0 {
		t.Fatal("the catalogue is empty")
	}
	if got, want := all[0].Code, fault.MetadataTooLong; got != want {
		t.Errorf("first code = %s, want %s", got, want)
	}
	if got := all[len(all)-1].Code; !strings.HasPrefix(string(got), "ERR_CULVERT_1") {
		t.Errorf("last code = %s, want the last of our own", got)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		err         *fault.Error
		wantError   string
		wantMessage string
		wantRemedy  string
	}{
		{
			name:        "argument in message",
			err:         fault.New(fault.URLTaken, "https://a.example"),
			wantError:   "The endpoint https://a.example is already online (ERR_NGROK_334)",
			wantMessage: "The endpoint https://a.example is already online.",
			wantRemedy:  "Either stop the other endpoint first, or enable pooling on both (--pooling-enabled): then they share the traffic.",
		},
		{
			name:        "argument repeated in remedy",
			err:         fault.New(fault.URLTrailingSlash, "https://a.example/", "https://a.example"),
			wantError:   "The URL https://a.example/ ends with a slash (ERR_NGROK_9038)",
			wantMessage: "The URL https://a.example/ ends with a slash.",
			wantRemedy:  "Did you mean https://a.example?",
		},
		{
			name:        "missing argument",
			err:         fault.New(fault.EndpointOffline),
			wantError:   "No endpoint is online at ? (ERR_NGROK_3200)",
			wantMessage: "No endpoint is online at ?.",
			wantRemedy:  `Start an agent for this address, for example with "culvert http 8080 --url ?", or check the address for a typing error.`,
		},
		{
			name:        "surplus argument",
			err:         fault.New(fault.NoHost, "surplus"),
			wantError:   "The request has no usable Host header (ERR_CULVERT_1301)",
			wantMessage: "The request has no usable Host header.",
			wantRemedy:  "Send exactly one Host header with the name of the endpoint.",
		},
		{
			name:        "error about a file that is named",
			err:         fault.New(fault.CAFileInvalid, "ca.pem", &fs.PathError{Op: "open", Path: "ca.pem", Err: fs.ErrNotExist}),
			wantError:   "The CA file ca.pem holds no usable certificate: file does not exist (ERR_CULVERT_1209)",
			wantMessage: "The CA file ca.pem holds no usable certificate: file does not exist.",
			wantRemedy:  "Give a PEM file; the server's is ca.pem in its data directory.",
		},
		{
			name:        "error about another file",
			err:         fault.New(fault.CAUnusable, "/data", &fs.PathError{Op: "open", Path: "/data/ca.pem", Err: fs.ErrNotExist}),
			wantError:   "The development CA in /data cannot be used: open /data/ca.pem: file does not exist (ERR_CULVERT_1012)",
			wantMessage: "The development CA in /data cannot be used: open /data/ca.pem: file does not exist.",
			wantRemedy:  "Restore ca.pem and its key from a backup, or remove both to have new ones made; agents then need the new fingerprint.",
		},
		{
			name:        "control characters in an argument",
			err:         fault.New(fault.HostUnderscore, "a\r\nERR_NGROK_1\x1b[31m\xff"),
			wantError:   "The host name a  ERR_NGROK_1 [31m  has an underscore (ERR_NGROK_355)",
			wantMessage: "The host name a  ERR_NGROK_1 [31m  has an underscore.",
			wantRemedy:  "Use a hyphen instead.",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.err.Error(); got != tt.wantError {
				t.Errorf("Error() =\n%q, want\n%q", got, tt.wantError)
			}
			if tt.err.Message != tt.wantMessage {
				t.Errorf("Message =\n%q, want\n%q", tt.err.Message, tt.wantMessage)
			}
			if tt.err.Remedy != tt.wantRemedy {
				t.Errorf("Remedy =\n%q, want\n%q", tt.err.Remedy, tt.wantRemedy)
			}
		})
	}
}

func TestNewBoundsArguments(t *testing.T) {
	t.Parallel()
	e := fault.New(fault.HostUnderscore, strings.Repeat("ä", 10_000))
	if got, limit := len(e.Message), 600; got > limit {
		t.Errorf("message has %d bytes, want at most %d", got, limit)
	}
}

func TestNewPanicsForUnknownCode(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("New with an unknown code did not panic")
		}
	}()
	_ = fault.New("ERR_CULVERT_999999")
}

func TestFrom(t *testing.T) {
	t.Parallel()
	known := fault.New(fault.NoSNI)
	secret := errors.New("dial 10.0.0.1: secret detail")
	tests := []struct {
		name string
		in   error
		want fault.Code
	}{
		{"a fault", known, fault.NoSNI},
		{"a wrapped fault", fmt.Errorf("handshake: %w", known), fault.NoSNI},
		{"another error", secret, fault.Internal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := fault.From(tt.in)
			if got.Code != tt.want {
				t.Errorf("From(%v).Code = %s, want %s", tt.in, got.Code, tt.want)
			}
			if strings.Contains(got.Wire(), "secret") {
				t.Errorf("From(%v) shows the hidden cause: %q", tt.in, got.Wire())
			}
			if !errors.Is(got, tt.in) && !errors.Is(tt.in, got) {
				t.Errorf("From(%v) lost its cause", tt.in)
			}
		})
	}
	if got := fault.From(nil); got != nil {
		t.Errorf("From(nil) = %v, want nil", got)
	}
}

func TestHas(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("bind: %w", fault.Wrap(io.EOF, fault.URLTaken, "https://a"))
	if !fault.Has(err, fault.URLTaken) {
		t.Error("Has(URLTaken) = false, want true")
	}
	if fault.Has(err, fault.Internal) || fault.Has(io.EOF, fault.URLTaken) || fault.Has(nil, fault.URLTaken) {
		t.Error("Has is true for another code or error")
	}
	if !errors.Is(err, io.EOF) {
		t.Error("the cause of Wrap is not found by errors.Is")
	}
}
