package fault

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Code names one kind of fault, spelled as clients see it: "ERR_NGROK_334" or "ERR_CULVERT_1001".
type Code string

// Entry describes one kind of fault in the catalogue.
type Entry struct {
	// Code is the unique name.
	Code Code
	// Status is the HTTP status of an answer that reports the fault; 0 where no HTTP answer can exist.
	Status int
	// Title is a short phrase without a full stop, fit for a page's heading.
	Title string
	// Message is the cause in one sentence: a format string for the arguments of [New].
	Message string
	// Remedy is the next step in one sentence or two. It may refer to the same arguments as %[n]s.
	Remedy string
}

// Error is a fault that a person can see. It is immutable once made.
type Error struct {
	// Code, Status and Title are those of the catalogue entry. Code is empty only in an error parsed
	// from another server's text that carried no code.
	Code   Code
	Status int
	Title  string
	// Message is the cause and Remedy the next step, ready to be shown.
	Message string
	Remedy  string
	// Cause is the underlying error, for logs and errors.Is; it is never shown to a client.
	Cause error
}

// maxArg bounds the bytes one argument may add to a message.
const maxArg = 512

// New makes the fault with the given code. The args fill the entry's message; missing ones show as "?"
// and surplus ones are dropped. An unknown code is a programmer error and panics.
func New(c Code, args ...any) *Error { return Wrap(nil, c, args...) }

// Wrap is [New] with an underlying cause, which errors.Is and errors.As find.
func Wrap(cause error, c Code, args ...any) *Error {
	e, ok := Lookup(c)
	if !ok {
		panic("fault: code " + string(c) + " is not in the catalogue")
	}
	return &Error{
		Code: e.Code, Status: e.Status, Title: e.Title,
		Message: render(e.Message, args), Remedy: render(e.Remedy, args), Cause: cause,
	}
}

// Error returns the message and the code on one line, without the remedy.
func (e *Error) Error() string {
	msg := strings.TrimSuffix(oneLine(e.Message), ".")
	if e.Code == "" {
		return msg
	}
	return msg + " (" + string(e.Code) + ")"
}

// Unwrap returns the underlying cause, if there is one.
func (e *Error) Unwrap() error { return e.Cause }

// From returns the first fault in the chain of err. An err without one becomes [Internal], with err as its
// hidden cause: its text reaches logs, never a client. From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return Wrap(err, Internal)
}

// Has reports whether the chain of err holds a fault with code c.
func Has(err error, c Code) bool {
	f, ok := errors.AsType[*Error](err)
	return ok && f.Code == c
}

// Lookup returns the catalogue's entry for c.
func Lookup(c Code) (Entry, bool) {
	e, ok := index()[c]
	return e, ok
}

// All returns the whole catalogue: reference codes first, then our own, each by rising number.
func All() []Entry {
	all := entries()
	slices.SortFunc(all, func(a, b Entry) int {
		ours := func(c Code) int { return strings.Compare(prefixOf(c), culvertPrefix) }
		// "ERR_CULVERT_" sorts before "ERR_NGROK_", and ours come last.
		return cmp.Or(
			-cmp.Compare(ours(a.Code), ours(b.Code)),
			cmp.Compare(len(a.Code), len(b.Code)),
			strings.Compare(string(a.Code), string(b.Code)),
		)
	})
	return all
}

func entries() []Entry {
	return slices.Concat(quotaEntries(), edgeEntries(), requestEntries(), sessionEntries(), nameEntries(), bindEntries(),
		agentEntries(), cliEntries(), serverEntries(), policyEntries(), changeEntries(), callEntries(), storeEntries(),
		apiEntries(), restEntries(), vaultEntries(), identityEntries(), cloudEntries(), ipEntries(), domainEntries(), certificateEntries(), addressEntries(), ingressEntries(),
		sshEntries())
}

// index is built on first use and never changed afterwards.
var index = sync.OnceValue(func() map[Code]Entry {
	m := make(map[Code]Entry)
	for _, e := range entries() {
		if _, twice := m[e.Code]; twice {
			panic("fault: code " + string(e.Code) + " is in the catalogue twice")
		}
		m[e.Code] = e
	}
	return m
})

// render fills a format with cleaned arguments, tolerating any number of them.
func render(format string, args []any) string {
	if !strings.Contains(format, "%") {
		return format
	}
	want := verbs(format)
	clean := make([]any, want)
	for i := range clean {
		clean[i] = "?"
		if i < len(args) {
			clean[i] = cleanArg(withoutPath(args[i], args))
		}
	}
	return fmt.Sprintf(format, clean...)
}

// verbs counts the arguments that a format refers to: plain verbs in order, or the highest %[n].
func verbs(format string) int {
	plain, highest := 0, 0
	for i := 0; i < len(format)-1; i++ {
		if format[i] != '%' {
			continue
		}
		i++
		switch format[i] {
		case '%':
		case '[':
			n := 0
			for i++; i < len(format) && format[i] >= '0' && format[i] <= '9'; i++ {
				n = n*10 + int(format[i]-'0')
			}
			highest = max(highest, n)
		default:
			plain++
		}
	}
	return max(plain, highest)
}

// withoutPath is a, or the reason alone of an error about a file that another
// argument names: a message says it once.
func withoutPath(a any, args []any) any {
	if pe, ok := a.(*fs.PathError); ok && slices.Contains(args, any(pe.Path)) {
		return pe.Err
	}
	return a
}

// cleanArg makes one argument safe to show: printable, on one line, of bounded length.
func cleanArg(a any) any {
	switch v := a.(type) {
	case string:
		return clean(v, maxArg)
	case error:
		return clean(v.Error(), maxArg)
	case fmt.Stringer:
		return clean(v.String(), maxArg)
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return v
	default:
		return clean(fmt.Sprint(v), maxArg)
	}
}

func clean(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
		for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) {
			s = s[:len(s)-1]
		}
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if cut {
		s += "..."
	}
	return s
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\r' || r == '\n' }), " ")
}
