package fault

import "strings"

// The two spellings of codes. Published SDKs recognise the first only.
const (
	ngrokPrefix   = "ERR_NGROK_"
	culvertPrefix = "ERR_CULVERT_"
)

// Bounds of what ParseWire looks at: the whole text, and one line of it.
const (
	maxWire = 64 << 10
	maxLine = 4 << 10
)

// Wire returns the form in which errors travel to agents: the message, the remedy on a line of its own, an
// empty line and the code on the last line (agent-protocol.md 5). Both SDK families find the code and only
// this code: text inside message and remedy that looks like a code is defused.
func (e *Error) Wire() string {
	var b strings.Builder
	b.WriteString(defuse(e.Message))
	if e.Remedy != "" {
		b.WriteString("\r\n")
		b.WriteString(defuse(e.Remedy))
	}
	if e.Code != "" {
		b.WriteString("\r\n\r\n")
		b.WriteString(string(e.Code))
		b.WriteString("\r\n")
	}
	return b.String()
}

// defuse puts text on one line and keeps it from being taken for a code: Go SDKs take the first
// ERR_NGROK_<digits> anywhere, the Rust family any line that starts with it.
func defuse(s string) string {
	return strings.ReplaceAll(oneLine(s), "ERR_", defused)
}

// defused is what the wire has for the start of a code that is not the error's own.
const defused = "ERR-"

// mentions undoes defuse where it met a code.
var mentions = strings.NewReplacer(defused+ngrokPrefix[len("ERR_"):], ngrokPrefix, defused+culvertPrefix[len("ERR_"):], culvertPrefix)

// ParseWire reads the error text of an answer, ours or another server's. It finds the code as both SDK
// families do: on a line of its own, else the first one anywhere. The first line of the rest is the message,
// further lines are the remedy, and the codes that they mention are whole again: who reads them looks for
// ERR_NGROK_2201. Blank text means success and gives nil. Title and status come from the catalogue where the
// code is known.
func ParseWire(s string) *Error {
	if len(s) > maxWire {
		s = s[:maxWire]
	}
	code := findCode(s)
	var lines []string
	for line := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\r' || r == '\n' }) {
		line = strings.TrimSpace(clean(line, maxLine))
		if line != "" && line != string(code) {
			lines = append(lines, mentions.Replace(line))
		}
	}
	if len(lines) == 0 && code == "" {
		return nil
	}
	e := &Error{Code: code}
	if known, ok := Lookup(code); ok {
		e.Status, e.Title = known.Status, known.Title
	}
	if len(lines) > 0 {
		e.Message = lines[0]
		e.Remedy = strings.Join(lines[1:], "\n")
	}
	if e.Message == "" {
		e.Message = e.Title
	}
	if e.Message == "" {
		e.Message = "the server refused without saying why"
	}
	return e
}

// findCode prefers a line that starts with a code, as we and the reference write it.
func findCode(s string) Code {
	for line := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if c := codeAt(strings.TrimSpace(line)); c != "" {
			return c
		}
	}
	for rest := s; ; {
		i := strings.Index(rest, "ERR_")
		if i < 0 {
			return ""
		}
		if c := codeAt(rest[i:]); c != "" {
			return c
		}
		rest = rest[i+len("ERR_"):]
	}
}

// codeAt returns the code that s begins with.
func codeAt(s string) Code {
	p := prefixOf(Code(s))
	if p == "" {
		return ""
	}
	end := len(p)
	for end < len(s) && s[end] >= '0' && s[end] <= '9' && end-len(p) < 9 {
		end++
	}
	if end == len(p) {
		return ""
	}
	return Code(s[:end])
}

func prefixOf(c Code) string {
	for _, p := range []string{ngrokPrefix, culvertPrefix} {
		if strings.HasPrefix(string(c), p) {
			return p
		}
	}
	return ""
}
