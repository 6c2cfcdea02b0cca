package identity_test

import (
	"errors"
	"testing"

	"github.com/culvert-project/culvert/server/internal/store"
)

// TestUnreadableCredentialLetsNobodyIn: a credential, owner or account that cannot be decoded any more is not known,
// and the sessions that it let in are held against that.
func TestUnreadableCredentialLetsNobodyIn(t *testing.T) {
	t.Parallel()
	for _, d := range [][2]string{{"account", "ac_1"}, {"user", "usr_1"}, {"credential", "cr_1"}} {
		for _, way := range []string{"load", "apply"} {
			p := newPlace(t)
			p.fill()
			p.load()
			<-p.roster.Revocations()
			if !p.roster.Valid("cr_1") {
				t.Fatal("the authtoken is not valid")
			}
			if _, err := p.db.Update(t.Context(), func(tx store.Tx) error {
				r, err := tx.Get(d[0], d[1])
				if err != nil {
					return err
				}
				r.Body = []byte(`7`)
				return tx.Put(r)
			}); err != nil {
				t.Fatal(d[0], err)
			}
			_, err := p.db.View(t.Context(), func(tx store.Tx) error {
				if way == "load" {
					return p.roster.Load(tx)
				}
				return p.roster.Apply(tx, []store.Change{{Kind: d[0], ID: d[1], Account: "ac_1"}})
			})
			if bad, ok := errors.AsType[store.Unreadable](err); !ok || len(bad) != 1 || bad[0].ID != d[1] {
				t.Errorf("%s, %s: got %v, want that %s cannot be read", d[0], way, err, d[1])
			}
			if p.roster.Valid("cr_1") {
				t.Errorf("%s, %s: the authtoken is valid", d[0], way)
			}
			select {
			case <-p.roster.Revocations():
			default:
				t.Errorf("%s, %s: nobody is told", d[0], way)
			}
		}
	}
}
