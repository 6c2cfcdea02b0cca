package arch

import (
	"bufio"
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Module is the path of the root module; every package path of floors.txt is relative to it.
const Module = "github.com/culvert-project/culvert"

// Rules is floors.txt, read.
type Rules struct {
	Floors map[string]Place    // by package path relative to the module, "." being the root
	May    map[string][]string // imports on the same floor that are allowed nevertheless
	Free   map[string][]string // by path prefix: the only packages of the tree that may be imported
	Reach  []Reach
	Only   map[string][]string // by import path: the packages that may import it
	Call   map[string][]string // by "package.Name": the packages that may mention it
	Std    []string            // packages whose import closure is the standard library
	Names  []string            // package names that are not used
	Size   Budget
	Words  []Word
}

// Place is where a package stands.
type Place struct {
	Module string // root, server, compat
	Floor  int
	Plane  string // data, control, or empty
}

// Reach says how far down into another module the packages of one module see.
type Reach struct {
	From    string // the importing module
	Above   int    // the importing package stands on this floor or higher
	To      string // the imported module
	Highest int    // the imported package stands on this floor or lower
}

// Budget is the size of things, in lines and files. The aims are reported, the ceiling is enforced.
type Budget struct {
	FileAim, FileCeiling, FuncAim, PackageFiles int
}

// Word is a text that must not stand in the tree.
type Word struct {
	Pattern *regexp.Regexp
	Reason  string
}

// ParseRules reads the format described at the head of floors.txt. Its errors name the line.
func ParseRules(text []byte) (*Rules, error) {
	r := &Rules{
		Floors: map[string]Place{}, May: map[string][]string{}, Free: map[string][]string{},
		Only: map[string][]string{}, Call: map[string][]string{},
	}
	sc := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; sc.Scan(); n++ {
		line, _, _ := strings.Cut(sc.Text(), "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if err := r.add(f[0], f[1:]); err != nil {
			return nil, fmt.Errorf("floors.txt:%d: %s: %w", n, f[0], err)
		}
	}
	return r, sc.Err()
}

// add takes one statement.
func (r *Rules) add(verb string, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("needs arguments")
	}
	switch verb {
	case "floor":
		return r.addFloor(args)
	case "may":
		r.May[args[0]] = append(r.May[args[0]], args[1:]...)
	case "free":
		r.Free[args[0]] = append(r.Free[args[0]], args[1:]...)
	case "below", "above":
		return r.addReach(verb, args)
	case "only":
		r.Only[args[0]] = append(r.Only[args[0]], args[1:]...)
	case "call":
		r.Call[args[0]] = append(r.Call[args[0]], args[1:]...)
	case "std":
		r.Std = append(r.Std, args...)
	case "name":
		r.Names = append(r.Names, args...)
	case "size":
		n, err := numbers(args, 4)
		if err != nil {
			return err
		}
		r.Size = Budget{FileAim: n[0], FileCeiling: n[1], FuncAim: n[2], PackageFiles: n[3]}
	case "word":
		re, err := regexp.Compile("(?m)" + args[0])
		if err != nil {
			return err
		}
		r.Words = append(r.Words, Word{Pattern: re, Reason: strings.Join(args[1:], " ")})
	default:
		return fmt.Errorf("unknown statement")
	}
	return nil
}

func (r *Rules) addFloor(args []string) error {
	if len(args) < 3 || len(args) > 4 {
		return fmt.Errorf("want MODULE N PACKAGE [PLANE]")
	}
	n, err := numbers(args[1:2], 1)
	if err != nil {
		return err
	}
	p := Place{Module: args[0], Floor: n[0]}
	if len(args) == 4 {
		p.Plane = args[3]
		if !slices.Contains([]string{"data", "control"}, p.Plane) {
			return fmt.Errorf("plane %q is neither data nor control", p.Plane)
		}
	}
	if _, twice := r.Floors[args[2]]; twice {
		return fmt.Errorf("%s is listed twice", args[2])
	}
	r.Floors[args[2]] = p
	return nil
}

func (r *Rules) addReach(verb string, args []string) error {
	above := "0"
	if verb == "above" && len(args) == 4 {
		above, args = args[1], slices.Delete(slices.Clone(args), 1, 2)
	}
	if len(args) != 3 {
		return fmt.Errorf("wrong number of arguments")
	}
	n, err := numbers([]string{above, args[2]}, 2)
	if err != nil {
		return err
	}
	r.Reach = append(r.Reach, Reach{From: args[0], Above: n[0], To: args[1], Highest: n[1]})
	return nil
}

// numbers reads exactly n non-negative numbers.
func numbers(args []string, n int) ([]int, error) {
	if len(args) != n {
		return nil, fmt.Errorf("want %d numbers, have %d words", n, len(args))
	}
	out := make([]int, n)
	for i, a := range args {
		v, err := strconv.Atoi(a)
		if err != nil || v < 0 {
			return nil, fmt.Errorf("%q is not a number", a)
		}
		out[i] = v
	}
	return out, nil
}
