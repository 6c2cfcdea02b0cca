package intel

import (
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// database is one file in MaxMind's format, read into memory so that its
// replacement on disk does not disturb a look-up.
type database struct {
	reader  *maxminddb.Reader
	network bool // it knows autonomous systems
	place   bool // it knows locations
}

func openDatabase(path string) (database, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return database{}, err
	}
	r, err := maxminddb.OpenBytes(b)
	if err != nil {
		return database{}, err
	}
	kind := strings.ToLower(r.Metadata.DatabaseType)
	network := strings.Contains(kind, "asn") || strings.Contains(kind, "isp") || strings.Contains(kind, "enterprise")
	return database{reader: r, network: network, place: !network || strings.Contains(kind, "enterprise")}, nil
}

func (d database) knows(name string) bool {
	if strings.HasPrefix(name, "as.") {
		return d.network
	}
	return d.place
}

// paths of the members in a record. English names stand below names.en.
var paths = map[string][]any{
	"city":         {"city", "names", "en"},
	"continent":    {"continent", "names", "en"},
	"country":      {"country", "names", "en"},
	"country_code": {"country", "iso_code"},
	"is_eu":        {"country", "is_in_european_union"},
	"latitude":     {"location", "latitude"},
	"longitude":    {"location", "longitude"},
	"metro_code":   {"location", "metro_code"},
	"postal_code":  {"postal", "code"},
	"radius":       {"location", "accuracy_radius"},
	"subdivision":  {"subdivisions", 0, "names", "en"},
	"timezone":     {"location", "time_zone"},
}

func (d database) fact(a netip.Addr, name string) (any, bool) {
	if !d.knows(name) {
		return nil, false
	}
	result := d.reader.Lookup(a)
	if !result.Found() {
		return nil, false
	}
	switch name {
	case "as.number":
		var n uint64
		if result.DecodePath(&n, "autonomous_system_number") != nil || n == 0 {
			return nil, false
		}
		return int64(n), true //nolint:gosec // 32 bits
	case "as.organization": //nolint:misspell // as the reference spells it
		return text(result, "autonomous_system_organization") //nolint:misspell // as the format spells it
	}
	kind, member, ok := strings.Cut(strings.TrimPrefix(name, "geo."), ".")
	path := paths[member]
	if !ok || path == nil {
		return nil, false
	}
	if kind == "registered_location" && path[0] == "country" {
		path = append([]any{"registered_country"}, path[1:]...)
	}
	switch member {
	case "is_eu":
		var v bool
		err := result.DecodePath(&v, path...)
		return v, err == nil
	case "latitude", "longitude":
		var v *float64
		if result.DecodePath(&v, path...) != nil || v == nil {
			return nil, false
		}
		return strconv.FormatFloat(*v, 'f', -1, 64), true
	case "metro_code", "radius":
		var v uint64
		if result.DecodePath(&v, path...) != nil || v == 0 {
			return nil, false
		}
		return strconv.FormatUint(v, 10), true
	}
	return text(result, path...)
}

func text(r maxminddb.Result, path ...any) (any, bool) {
	var s string
	if r.DecodePath(&s, path...) != nil || s == "" {
		return nil, false
	}
	return s, true
}
