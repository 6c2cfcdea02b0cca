package intel_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/culvert-project/culvert/server/internal/intel"
)

// writeDatabase makes a database with one record.
func writeDatabase(t *testing.T, path, kind, cidr string, record mmdbtype.Map) {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, network, err := net.ParseCIDR(cidr)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Insert(network, record); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func names(s string) mmdbtype.Map {
	return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(s), "de": mmdbtype.String("andere")}}
}

func writeList(t *testing.T, dir, name string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPolicy62_Facts(t *testing.T) {
	t.Parallel()
	dir, lists := t.TempDir(), t.TempDir()
	city, asn := filepath.Join(dir, "city.mmdb"), filepath.Join(dir, "asn.mmdb")
	country := names("Germany")
	country["iso_code"], country["is_in_european_union"] = mmdbtype.String("DE"), mmdbtype.Bool(true)
	registered := names("France")
	registered["iso_code"] = mmdbtype.String("FR")
	writeDatabase(t, city, "GeoLite2-City", "192.0.2.0/24", mmdbtype.Map{
		"city": names("Berlin"), "country": country, "registered_country": registered, "continent": names("Europe"),
		"subdivisions": mmdbtype.Slice{names("Land Berlin")}, "postal": mmdbtype.Map{"code": mmdbtype.String("10115")},
		"location": mmdbtype.Map{"latitude": mmdbtype.Float64(52.5), "longitude": mmdbtype.Float64(-13), "accuracy_radius": mmdbtype.Uint16(20), "time_zone": mmdbtype.String("Europe/Berlin")},
	})
	writeDatabase(t, asn, "GeoLite2-ASN", "192.0.2.0/24", mmdbtype.Map{
		"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": mmdbtype.String("Example"),
	})
	writeList(t, lists, "proxy.anonymous.tor.txt", "# nodes", "192.0.2.7", "2001:db8::/32 # all")
	writeList(t, lists, "blocklist.firehol_org.level_4", "192.0.2.0/24")
	writeList(t, lists, "blocklist.stopforumspam", "192.0.2.9/32 ; spam")
	i, err := intel.New(intel.Config{Databases: []string{city, asn}, Categories: lists})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ addr, fact, want string }{
		{"192.0.2.7", "geo.location.city", "Berlin"},
		{"192.0.2.7", "geo.location.country_code", "DE"},
		{"192.0.2.7", "geo.location.is_eu", "true"},
		{"192.0.2.7", "geo.location.latitude", "52.5"},
		{"192.0.2.7", "geo.location.longitude", "-13"},
		{"192.0.2.7", "geo.location.radius", "20"},
		{"192.0.2.7", "geo.location.subdivision", "Land Berlin"},
		{"192.0.2.7", "geo.location.postal_code", "10115"},
		{"192.0.2.7", "geo.location.timezone", "Europe/Berlin"},
		{"192.0.2.7", "geo.location.continent", "Europe"},
		{"192.0.2.7", "geo.location.metro_code", "unknown"},
		{"192.0.2.7", "geo.registered_location.country_code", "FR"},
		{"192.0.2.7", "as.number", "64500"},
		{"192.0.2.7", "as.organization", "Example"},
		{"198.51.100.1", "geo.location.city", "unknown"},
		{"198.51.100.1", "as.number", "unknown"},
		{"198.51.100.1", "categories", "[]"},
		{"192.0.2.7", "categories", "[blocklist blocklist.firehol_org blocklist.firehol_org.level_4 proxy proxy.anonymous proxy.anonymous.tor]"},
		{"192.0.2.7", "is_tor_node", "true"},
		{"192.0.2.7", "is_on_blocklist", "false"},
		{"192.0.2.9", "is_on_blocklist", "true"},
		{"192.0.2.9", "is_tor_node", "false"},
		{"2001:db8::1", "is_tor_node", "true"},
		{"::ffff:192.0.2.7", "is_tor_node", "true"},
	} {
		got := "unknown"
		if v, ok := i.Fact(netip.MustParseAddr(tt.addr), tt.fact); ok {
			got = fmt.Sprint(v)
		}
		if got != tt.want {
			t.Errorf("%s of %s: got %s, want %s", tt.fact, tt.addr, got, tt.want)
		}
	}
	if !i.Knows("as.number") || !i.Knows("categories") {
		t.Error("it does not say what it knows")
	}
	none, err := intel.New(intel.Config{})
	if err != nil || none.Knows("as.number") || none.Knows("categories") {
		t.Errorf("without files: %v; it says that it knows", err)
	}
	if v, ok := none.Fact(netip.MustParseAddr("192.0.2.7"), "geo.location.city"); ok {
		t.Errorf("without files: got %v", v)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	lists := t.TempDir()
	writeList(t, lists, "bad", "192.0.2.1", "nonsense")
	if _, err := intel.New(intel.Config{Categories: lists}); err == nil || !strings.Contains(err.Error(), "bad:2: \"nonsense\" is no address") {
		t.Errorf("a bad line: got %v", err)
	}
	writeList(t, lists, "db.mmdb", "no database")
	if _, err := intel.New(intel.Config{Databases: []string{filepath.Join(lists, "db.mmdb")}}); err == nil {
		t.Error("a bad database: got no error")
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	lists := t.TempDir()
	writeList(t, lists, "a.b", "192.0.2.1")
	i, err := intel.New(intel.Config{Categories: lists})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		go i.Run(t.Context())
		want := func(list, when string) {
			t.Helper()
			time.Sleep(time.Minute) // in a bubble
			synctest.Wait()
			if v, _ := i.Fact(netip.MustParseAddr("192.0.2.1"), "categories"); fmt.Sprint(v) != list {
				t.Errorf("%s: got %v, want %s", when, v, list)
			}
		}
		want("[a a.b]", "at first")
		writeList(t, lists, "c.d", "192.0.2.0/24", "198.51.100.0/24")
		want("[a a.b c c.d]", "with another list")
		writeList(t, lists, "c.d", "nonsense that is longer than before, so that it is seen")
		want("[a a.b c c.d]", "with a bad list")
	})
}

// TestDatabaseIsReplaced puts another database in the place of the first, and
// then something that is none.
func TestDatabaseIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "asn.mmdb")
	number := func(n mmdbtype.Uint32) {
		writeDatabase(t, path+".new", "GeoLite2-ASN", "192.0.2.0/24", mmdbtype.Map{"autonomous_system_number": n, "autonomous_system_organization": mmdbtype.String(strings.Repeat("x", int(n)))})
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	number(1)
	var log strings.Builder
	i, err := intel.New(intel.Config{Databases: []string{path}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		go i.Run(t.Context())
		want := func(n int64, when string) {
			t.Helper()
			time.Sleep(time.Minute) // in a bubble
			synctest.Wait()
			if v, _ := i.Fact(netip.MustParseAddr("192.0.2.1"), "as.number"); v != n {
				t.Errorf("%s: got %v, want %d", when, v, n)
			}
		}
		want(1, "at first")
		number(2)
		want(2, "after another one")
		if err := os.WriteFile(path, []byte("no database"), 0o600); err != nil {
			t.Fatal(err)
		}
		want(2, "after one that is none")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		want(2, "after none")
		number(3)
		want(3, "after a good one again")
	})
	if got := strings.Count(log.String(), "not reloaded"); got != 2 {
		t.Errorf("the log tells %d times of a bad file, want 2:\n%s", got, log.String())
	}
}
