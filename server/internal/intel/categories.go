package intel

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of the lists.
const (
	// maxRanges is how many addresses and ranges all lists may have together.
	maxRanges = 5_000_000
	maxLine   = 4 << 10
)

// aliases are further names of categories.
var aliases = map[string]string{
	"com.algolia.crawer": "com.algolia.crawler", "com.algolia.crawler": "com.algolia.crawer",
	"ai.perplexity": "com.perplexity",
}

// table finds the lists that hold an address: one map of prefixes for each
// length that occurs.
type table struct {
	names  []string
	byBits [2][129]map[netip.Prefix][]uint16 // of IPv4 and IPv6
	bits   [2][]int                          // lengths that occur
}

// loadCategories reads a folder of lists; an empty name gives nil.
func loadCategories(dir string) (*table, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // a nil table has no categories
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	t := &table{}
	count := 0
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if len(t.names) == 1<<16-1 {
			return nil, fmt.Errorf("%s: more than %d lists", dir, len(t.names))
		}
		t.names = append(t.names, strings.TrimSuffix(e.Name(), ".txt"))
		if err := t.read(filepath.Join(dir, e.Name()), &count); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *table) read(path string, count *int) error {
	f, err := os.Open(path) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 0, maxLine), maxLine)
	for line := 1; s.Scan(); line++ {
		entry, _, _ := strings.Cut(s.Text(), "#")
		entry, _, _ = strings.Cut(entry, ";")
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		p, err := parseRange(entry)
		if err != nil {
			return fmt.Errorf("%s:%d: %q is no address and no range such as 192.0.2.0/24", path, line, entry)
		}
		if *count++; *count > maxRanges {
			return fmt.Errorf("%s:%d: more than %d addresses and ranges", path, line, maxRanges)
		}
		t.add(p, uint16(len(t.names)-1)) //nolint:gosec // bounded above
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func parseRange(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		a = a.Unmap()
		return a.WithZone("").Prefix(a.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

func (t *table) add(p netip.Prefix, name uint16) {
	f, bits := family(p.Addr()), p.Bits()
	m := t.byBits[f][bits]
	if m == nil {
		m = make(map[netip.Prefix][]uint16)
		t.byBits[f][bits] = m
		t.bits[f] = append(t.bits[f], bits)
	}
	if !slices.Contains(m[p], name) {
		m[p] = append(m[p], name)
	}
}

// visit calls f for the name of each list that holds the address.
func (t *table) visit(a netip.Addr, f func(name string)) {
	if t == nil || !a.IsValid() {
		return
	}
	a = a.Unmap().WithZone("")
	fam := family(a)
	for _, bits := range t.bits[fam] {
		p, err := a.Prefix(bits)
		if err != nil {
			continue
		}
		for _, n := range t.byBits[fam][bits][p] {
			f(t.names[n])
		}
	}
}

// of returns the categories of an address, every prefix of a name included,
// sorted.
func (t *table) of(a netip.Addr) []string {
	var all []string
	t.visit(a, func(name string) {
		for _, n := range []string{name, aliases[name]} {
			for n != "" {
				all = append(all, n)
				n = n[:max(strings.LastIndexByte(n, '.'), 0)]
			}
		}
	})
	slices.Sort(all)
	return slices.Compact(all)
}

// has reports whether an address is in a category or one below it.
func (t *table) has(a netip.Addr, category string) bool {
	found := false
	t.visit(a, func(name string) {
		found = found || name == category || strings.HasPrefix(name, category+".")
	})
	return found
}

// onBlocklist reports whether one of the categories is a list to be trusted;
// firehol's level 4 has too much in it (traffic-policy.md 8.3).
func onBlocklist(categories []string) bool {
	return slices.ContainsFunc(categories, func(c string) bool {
		return strings.HasPrefix(c, "blocklist.") && c != "blocklist.firehol_org" && c != "blocklist.firehol_org.level_4"
	})
}
