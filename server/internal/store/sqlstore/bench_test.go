package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/store/storetest"
)

// eachStore runs a benchmark with a new store of each kind.
func eachStore(b *testing.B, f func(b *testing.B, s *sqlstore.Store)) {
	b.Helper()
	for name, open := range map[string]func(b *testing.B) (*sqlstore.Store, error){
		"SQLite": func(b *testing.B) (*sqlstore.Store, error) {
			b.Helper()
			return sqlstore.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "culvert.db"))
		},
		"PostgreSQL": func(b *testing.B) (*sqlstore.Store, error) {
			b.Helper()
			return sqlstore.OpenPostgres(b.Context(), storetest.Postgres(b))
		},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := open(b)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			f(b, s)
		})
	}
}

// document is about as large as an endpoint with a small policy.
func document(id string) store.Record {
	return thing(id, `{"url":"https://`+id+`.example.test","text":"`+strings.Repeat("x", 400)+`"}`, store.Key{Space: "url", Value: id})
}

// BenchmarkUpdate makes one durable record after the other.
func BenchmarkUpdate(b *testing.B) {
	eachStore(b, func(b *testing.B, s *sqlstore.Store) {
		n := 0
		for b.Loop() {
			n++
			r := document(fmt.Sprintf("id%08d", n))
			if _, err := s.Update(b.Context(), func(tx store.Tx) error { return tx.Put(r) }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkUpdateAtOnce does so for 32 callers at the same time.
func BenchmarkUpdateAtOnce(b *testing.B) {
	eachStore(b, func(b *testing.B, s *sqlstore.Store) {
		ids := make(chan string, 1)
		go func() {
			for n := 0; n < b.N; n++ {
				ids <- fmt.Sprintf("id%08d", n)
			}
			close(ids)
		}()
		b.ResetTimer()
		done := make(chan error)
		for range 32 {
			go func() {
				var err error
				for id := range ids {
					if err == nil {
						_, err = s.Update(b.Context(), func(tx store.Tx) error { return tx.Put(document(id)) })
					}
				}
				done <- err
			}()
		}
		for range 32 {
			if err := <-done; err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkMany loads and lists 100 000 records.
func BenchmarkMany(b *testing.B) {
	const all = 100_000
	eachStore(b, func(b *testing.B, s *sqlstore.Store) {
		for n := 0; n < all; n += 1000 {
			if _, err := s.Update(b.Context(), func(tx store.Tx) error {
				for i := range 1000 {
					if err := tx.Put(document(fmt.Sprintf("id%08d", n+i))); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
		list := func(b *testing.B, q store.Query, want int) {
			b.Helper()
			q.Kind = "thing"
			for b.Loop() {
				n := 0
				if _, err := s.View(b.Context(), func(tx store.Tx) error {
					for _, err := range tx.List(q) {
						if err != nil {
							return err
						}
						n++
					}
					return nil
				}); err != nil || n != want {
					b.Fatalf("%d records, %v, want %d", n, err, want)
				}
			}
		}
		b.Run("load", func(b *testing.B) { list(b, store.Query{}, all) })
		b.Run("page of 100", func(b *testing.B) { list(b, store.Query{Account: "ac_1", Before: "id00050000", Limit: 100}, 100) })
		b.Run("poll", func(b *testing.B) {
			for b.Loop() {
				if _, err := s.View(b.Context(), func(store.Tx) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("check", func(b *testing.B) {
			for b.Loop() {
				if r, err := s.Check(b.Context()); err != nil || len(r.Problems) > 0 {
					b.Fatal(r, err)
				}
			}
		})
	})
}
