package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Sealer keeps what an agent carries for the server secret and unchanged, also
// over a restart of the server.
type Sealer interface {
	// Seal encrypts and authenticates plaintext for one purpose.
	Seal(purpose string, plaintext []byte) string
	// Open returns what was sealed for the same purpose.
	Open(purpose, text string) ([]byte, error)
}

const (
	// ticketPurpose begins the purpose of the seal of a ticket. What follows is
	// the day and the identity of the server, so that each day has a key of its
	// own.
	ticketPurpose = "agent-tls-ticket "
	// ticketDays is how many days a ticket is good for beside the one it was
	// made on. TLS 1.3 allows no more.
	ticketDays = 7
	// dayLen is the length of the day in front of a ticket.
	dayLen = 4
	// maxTicket bounds the ticket that is looked at, in bytes. Ours have about
	// 250.
	maxTicket = 2 << 10
)

// tickets are the TLS sessions that agents may resume. An agent that comes back
// is spared the verification of certificates, and the server a signature: when
// all come back at once, that is half of the time that a session takes to begin.
//
// A ticket replaces the certificate for up to a week, so it names the identity
// that it was made with. Resumed sessions agree on keys anew (psk_dhe_ke, the
// only way that crypto/tls knows): who learns a ticket's key later can read none
// of them. Our agents leave out the hybrid exchange then, so that only this key
// stands between a recorded session and a quantum computer of later years.
type tickets struct {
	sealer   Sealer
	identity func() []byte // the certificate that agents verify
	now      func() time.Time
}

// apply has cfg make and take tickets.
func (t *tickets) apply(cfg *tls.Config) {
	cfg.WrapSession = func(_ tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
		plain, err := s.Bytes()
		if err != nil {
			return nil, err
		}
		day := t.today()
		ticket := binary.BigEndian.AppendUint32(make([]byte, 0, 512), day)
		return append(ticket, t.sealer.Seal(t.purpose(day), plain)...), nil
	}
	// No ticket at all and one that is not good are the same: the handshake goes
	// on with the certificate.
	cfg.UnwrapSession = func(ticket []byte, _ tls.ConnectionState) (*tls.SessionState, error) {
		if len(ticket) < dayLen || len(ticket) > maxTicket {
			return nil, nil
		}
		day, today := binary.BigEndian.Uint32(ticket), t.today()
		if day > today || today-day > ticketDays {
			return nil, nil
		}
		plain, err := t.sealer.Open(t.purpose(day), string(ticket[dayLen:]))
		if err != nil {
			return nil, nil //nolint:nilerr // as said above
		}
		s, err := tls.ParseSessionState(plain)
		if err != nil {
			return nil, nil //nolint:nilerr // as said above
		}
		return s, nil
	}
}

// today is the number of days since 1970, in UTC.
func (t *tickets) today() uint32 {
	return uint32(t.now().Unix() / (24 * 60 * 60)) //nolint:gosec // until the year 11 million
}

func (t *tickets) purpose(day uint32) string {
	sum := sha256.Sum256(t.identity())
	text := hex.AppendEncode([]byte(ticketPurpose), binary.BigEndian.AppendUint32(nil, day))
	text = append(text, ' ')
	return string(hex.AppendEncode(text, sum[:]))
}

// identity returns the certificate that tells agents which server this is: the
// CA's, or where files were given the one in them.
func (s *Store) identity() []byte {
	if s.files != nil {
		return s.files.certificate().Certificate[0]
	}
	return s.ca.cert.Raw
}
