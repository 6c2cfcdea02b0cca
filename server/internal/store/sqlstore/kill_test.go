package sqlstore_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
)

var rounds = flag.Int("store.rounds", 10, "how often TestS3_KillDuringWrites kills the process that writes")

// The variables that tell this program to be the child of a test: the database that it writes, and the round.
const (
	childDatabase = "CULVERT_STORE_CHILD"
	childRound    = "CULVERT_STORE_ROUND"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(childDatabase); name != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(name, os.Getenv(childRound)))
		return
	}
	m.Run()
}

// killWriters is how many goroutines of the child write at the same time.
const killWriters = 4

// writeUntilKilled writes updates of several records each and tells of every one when it is answered.
func writeUntilKilled(name, round string) error {
	ctx := context.Background()
	open := sqlstore.OpenSQLite
	if strings.HasPrefix(name, "postgres") {
		open = sqlstore.OpenPostgres
	}
	s, err := open(ctx, name)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for w := range killWriters {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%s-%d-%06d", round, w, n)
				r, err := s.Update(ctx, func(tx store.Tx) error { return writePair(tx, id) })
				if err != nil {
					failed <- fmt.Errorf("update %s: %w", id, err)
					return
				}
				fmt.Fprintf(os.Stdout, "%s %d\n", id, r) // one write each
			}
		}()
	}
	return <-failed
}

// writePair writes two new records, each with a name, and counts in a third one.
func writePair(tx store.Tx, id string) error {
	counter, err := tx.Get("thing", "counter")
	if err != nil && err != store.ErrNotFound { //nolint:errorlint // the interface says so
		return err
	}
	var n int
	if err == nil {
		if _, err := fmt.Sscan(string(counter.Body), &n); err != nil {
			return err
		}
	} else {
		counter = thing("counter", "")
	}
	counter.Body = fmt.Append(nil, n+1)
	for _, r := range []store.Record{
		counter,
		thing("a"+id, `{"half":1}`, store.Key{Space: "name", Value: "a" + id}),
		thing("b"+id, `{"half":2}`, store.Key{Space: "name", Value: "b" + id}),
	} {
		if err := tx.Put(r); err != nil {
			return err
		}
	}
	return nil
}

// TestS3_KillDuringWrites: whenever a process is killed, what it has answered is there, and nothing by halves.
func TestS3_KillDuringWrites(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, db database) {
		answered := map[string]store.Revision{}
		for round := range *rounds {
			for id, r := range killOne(t, db, round) {
				answered[id] = r
			}
			s := db.open(t)
			checkPairs(t, s, answered)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%d rounds, %d answered updates", *rounds, len(answered))
	})
}

// killOne runs a process that writes, kills it after some answers, and returns all of them.
func killOne(t *testing.T, db database, round int) map[string]store.Revision {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), program) //nolint:gosec // this very program
	child.Env = append(os.Environ(), childDatabase+"="+db.path+db.url, childRound+"="+fmt.Sprint(round))
	var complaint strings.Builder
	child.Stderr = &complaint
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	answered := map[string]store.Revision{}
	var once sync.Once
	last := 1 + rand.IntN(150) //nolint:gosec // no secret
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if err != nil { // a line cut short was no answer
			if err != io.EOF { //nolint:errorlint // as the reader says
				t.Errorf("read the answers: %v", err)
			}
			break
		}
		var id string
		var r store.Revision
		if _, err := fmt.Sscan(line, &id, &r); err != nil {
			t.Fatalf("the child says %q", line)
		}
		if answered[id] = r; len(answered) >= last {
			once.Do(func() { _ = child.Process.Kill() }) // SIGKILL; what it has answered meanwhile is read all the same
		}
	}
	_ = child.Wait() // it was killed
	if complaint.Len() > 0 || len(answered) < last {
		t.Fatalf("the child ended after %d answers by itself: %s", len(answered), complaint.String())
	}
	return answered
}

func checkPairs(t *testing.T, s *sqlstore.Store, answered map[string]store.Revision) {
	t.Helper()
	report := sound(t, s)
	halves := map[string]int{}
	count := "0"
	at, err := s.View(t.Context(), func(tx store.Tx) error {
		for r, err := range tx.List(store.Query{Kind: "thing"}) {
			if err != nil {
				return err
			}
			if r.ID == "counter" {
				count = string(r.Body)
				continue
			}
			id := r.ID[1:]
			halves[id]++
			if want, ok := answered[id]; ok && r.Revision != want {
				t.Errorf("%s has revision %d, answered was %d", r.ID, r.Revision, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for id := range answered {
		if halves[id] == 0 {
			t.Errorf("update %s was answered, and is not there", id)
		}
	}
	for id, n := range halves {
		if n != 2 {
			t.Errorf("update %s is there by half", id)
		}
	}
	if count != fmt.Sprint(len(halves)) || int(at) != len(halves) || report.Revision != at { //nolint:gosec // small
		t.Errorf("%d updates are there, the counter says %s and the revision %d", len(halves), count, at)
	}
}
