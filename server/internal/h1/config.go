package h1

import "time"

const (
	// maxName bounds one field name (reliability-security.md 9.1).
	maxName = 256
	// maxChunkLine bounds a chunk's size with its extensions, and
	// maxChunkExcess what chunk framing may cost beyond 16 bytes a chunk and
	// twice the data, over a whole body.
	maxChunkLine   = 4 << 10
	maxChunkExcess = 16 << 10
	// inlineBody is the largest body that is read whole before the request is
	// written, so that head and body leave in one Write.
	inlineBody = 8 << 10
)

// Config holds the bounds of a connection. Its zero value means the defaults
// of reliability-security.md 9.1 and endpoints.md 16.
type Config struct {
	// MaxHead bounds a response head in bytes, interim ones included.
	// Default: 1 MiB.
	MaxHead int
	// MaxFields bounds the field lines of a head. Default: 500.
	MaxFields int
	// MaxTrailer bounds the trailer section in bytes. Default: 64 KiB.
	MaxTrailer int
	// MaxTrailerFields bounds the lines of the trailer section. Default: 100.
	MaxTrailerFields int
	// MaxInterim bounds the 1xx responses before the final one. Default: 10.
	MaxInterim int
	// Idle ends an exchange in which no byte moved either way for so long.
	// It is kept to an eighth. Default: 5 min; negative: never.
	Idle time.Duration
	// ContinueWait is how long a body with Expect waits for 100 before it is
	// sent regardless (RFC 9110 10.1.1). Default: 1 s.
	ContinueWait time.Duration
	// Foreign is asked about a response that does not begin like HTTP. It gets
	// the bytes so far, at most 8 KiB, and returns more = true if it needs
	// further ones, or the error that the bytes stand for, or nil if it does
	// not know them either. Default: none.
	Foreign func(b []byte) (err error, more bool) //nolint:revive // the error is the value asked for, more only its companion
}

// withDefaults returns c with the defaults filled in.
func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.MaxHead, 1<<20)
	def(&c.MaxFields, 500)
	def(&c.MaxTrailer, 64<<10)
	def(&c.MaxTrailerFields, 100)
	def(&c.MaxInterim, 10)
	if c.Idle == 0 {
		c.Idle = 5 * time.Minute
	}
	if c.ContinueWait == 0 {
		c.ContinueWait = time.Second
	}
	return c
}

// Client makes connections that share one Config. It exists so that a
// connection need not carry a copy.
type Client struct{ cfg Config }

// NewClient returns a Client with cfg's bounds.
func NewClient(cfg Config) *Client { return &Client{cfg: cfg.withDefaults()} }
