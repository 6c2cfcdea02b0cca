package acme

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// DNS writes and removes records of type TXT. Several with different values may
// be under one name at once.
type DNS interface {
	// Present adds a record. Adding one that is there does nothing.
	Present(ctx context.Context, name, value string) error
	// CleanUp removes a record. Removing one that is not there does nothing.
	CleanUp(ctx context.Context, name, value string) error
}

// Times of proofs by DNS.
const (
	// writeTime bounds one change.
	writeTime = time.Minute
	// seenTime is how long a record is waited for, and seenPause how often it is
	// looked for. The order goes on afterwards: the authority may see more.
	seenTime  = time.Minute
	seenPause = 2 * time.Second
)

// overDNS gives proofs as records. It is an acmez.Solver and Waiter.
type overDNS struct {
	dns      DNS
	record   string // "": that of the name
	resolver *net.Resolver
	log      *slog.Logger
}

func (s *overDNS) name(proof acme.Challenge) string {
	if s.record != "" {
		return s.record
	}
	return proof.DNS01TXTRecordName()
}

func (s *overDNS) Present(ctx context.Context, proof acme.Challenge) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	return s.dns.Present(ctx, s.name(proof), proof.DNS01KeyAuthorization())
}

// Wait returns when the record can be seen, or after a while.
func (s *overDNS) Wait(ctx context.Context, proof acme.Challenge) error {
	name, value := s.name(proof), proof.DNS01KeyAuthorization()
	until := time.Now().Add(seenTime)
	for time.Now().Before(until) {
		found, err := s.resolver.LookupTXT(ctx, name+".")
		if slices.Contains(found, value) {
			return nil
		}
		s.log.Debug("record of a proof not seen yet", "name", name, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(seenPause):
		}
	}
	s.log.Warn("the record of a proof was written and cannot be seen; the authority is asked nevertheless", "name", name)
	return nil
}

// CleanUp removes the record even when the order has been given up.
func (s *overDNS) CleanUp(ctx context.Context, proof acme.Challenge) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	err := s.dns.CleanUp(ctx, s.name(proof), proof.DNS01KeyAuthorization())
	if err != nil {
		s.log.Warn("the record of a proof was not removed", "name", s.name(proof), "err", err)
	}
	return err
}
