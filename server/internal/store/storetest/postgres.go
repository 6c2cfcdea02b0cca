package storetest

import (
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// postgresEnv names the URL of a PostgreSQL server whose user may make databases.
const postgresEnv = "CULVERT_TEST_POSTGRES"

// Postgres returns the URL of a new, empty database, which is dropped after the test. The test is skipped if
// CULVERT_TEST_POSTGRES is not set; in CI that is a failure.
func Postgres(t testing.TB) string {
	t.Helper()
	base := os.Getenv(postgresEnv)
	if base == "" {
		if os.Getenv("CULVERT_CI") != "" {
			t.Fatal(postgresEnv + " is not set")
		}
		t.Skip(postgresEnv + " is not set: it names a PostgreSQL server for tests, like postgres://postgres@127.0.0.1:5432/postgres")
	}
	name := "culvert_" + strings.ToLower(rand.Text())
	exec := func(statement string) {
		t.Helper()
		db, err := sql.Open("pgx", base)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(statement); err != nil { //nolint:noctx // the test's context has ended when it cleans up
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec("CREATE DATABASE " + name)
	t.Cleanup(func() { exec("DROP DATABASE " + name + " WITH (FORCE)") })
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
