package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Format is the shape of a log line.
type Format string

// The formats that a log line may have (reference: agent, section 6).
const (
	Term   Format = "term"   // for a person; coloured on a terminal that wants it
	Logfmt Format = "logfmt" // key=value pairs
	JSON   Format = "json"   // one object a line
)

// ParseFormat reads the name of a format. Empty text gives the empty format,
// which depends on where the log goes.
func ParseFormat(text string) (Format, error) {
	switch f := Format(strings.ToLower(text)); f {
	case "", Term, Logfmt, JSON:
		return f, nil
	}
	return "", fmt.Errorf("log format %q is not one of term, logfmt, json", text)
}

// timeLayout is RFC 3339 with milliseconds and a fixed width, so that lines
// align and sort.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// pair is one key of a line with its value, already masked where needed.
type pair struct {
	key   string
	value slog.Value
}

// line is a record ready to be written: obj first, then the pairs in the order
// in which they were given.
type line struct {
	at    time.Time
	level slog.Level
	msg   string
	pairs []pair
}

func (l *line) appendLogfmt(b []byte) []byte {
	b = append(b, "t="...)
	b = l.at.AppendFormat(b, timeLayout)
	b = append(b, " lvl="...)
	b = append(b, shortLevel(l.level)...)
	b = append(b, " msg="...)
	b = appendQuoted(b, l.msg)
	for _, p := range l.pairs {
		b = append(b, ' ')
		b = appendKey(b, p.key)
		b = append(b, '=')
		b = appendQuoted(b, valueText(p.value))
	}
	return append(b, '\n')
}

func (l *line) appendJSON(b []byte) []byte {
	b = append(b, `{"t":"`...)
	b = l.at.AppendFormat(b, timeLayout)
	b = append(b, `","lvl":"`...)
	b = append(b, shortLevel(l.level)...)
	b = append(b, `","msg":`...)
	b = appendJSONValue(b, l.msg)
	for _, p := range l.pairs {
		b = append(b, ',')
		b = appendJSONValue(b, p.key)
		b = append(b, ':')
		b = appendJSONValue(b, jsonValue(p.value))
	}
	return append(b, '}', '\n')
}

// Colours of the levels on a terminal: the escape sequence, or nothing.
const (
	colourReset  = "\x1b[0m"
	colourDim    = "\x1b[2m"
	colourRed    = "\x1b[31m"
	colourYellow = "\x1b[33m"
	colourGreen  = "\x1b[32m"
	colourBlue   = "\x1b[34m"
)

func levelColour(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return colourRed
	case l >= slog.LevelWarn:
		return colourYellow
	case l >= slog.LevelInfo:
		return colourGreen
	}
	return colourBlue
}

// appendTerm writes a line for a person, in colours where they are wanted.
func (l *line) appendTerm(b []byte, colours bool) []byte {
	paint := func(sequence string) {
		if colours {
			b = append(b, sequence...)
		}
	}
	paint(colourDim)
	b = l.at.AppendFormat(b, "15:04:05")
	paint(colourReset)
	b = append(b, ' ')
	paint(levelColour(l.level))
	b = append(b, strings.ToUpper(shortLevel(l.level))...)
	paint(colourReset)
	b = append(b, ' ')
	b = append(b, printable(l.msg)...)
	for _, p := range l.pairs {
		b = append(b, ' ')
		paint(colourDim)
		b = appendKey(b, p.key)
		b = append(b, '=')
		paint(colourReset)
		b = appendQuoted(b, valueText(p.value))
	}
	return append(b, '\n')
}

// valueText gives a value as the text of a logfmt pair.
func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(timeLayout)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok && err != nil {
			return err.Error()
		}
		if v.Any() == nil {
			return ""
		}
	}
	return v.String()
}

// jsonValue gives a value as something encoding/json shows in the way readers
// of the log expect: numbers and booleans bare, everything else as text unless
// it is a list of strings, or says itself how it is written.
func jsonValue(v slog.Value) any {
	switch v.Kind() {
	case slog.KindBool:
		return v.Bool()
	case slog.KindInt64:
		return v.Int64()
	case slog.KindUint64:
		return v.Uint64()
	case slog.KindFloat64:
		return v.Float64()
	case slog.KindAny:
		if list, ok := v.Any().([]string); ok {
			return list
		}
		if m, ok := v.Any().(json.Marshaler); ok {
			return m
		}
		if v.Any() == nil {
			return nil
		}
	}
	return valueText(v)
}

// appendJSONValue writes v without escaping <, > and &, which matter only
// inside HTML and make URLs hard to read.
func appendJSONValue(b []byte, v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return strconv.AppendQuote(b, fmt.Sprint(v))
	}
	return append(b, bytes.TrimRight(buf.Bytes(), "\n")...)
}

// appendKey writes a key. Anything that would end the key early becomes an
// underscore.
func appendKey(b []byte, key string) []byte {
	for _, r := range key {
		if r <= ' ' || r == '=' || r == '"' || r == utf8.RuneError || unicode.IsControl(r) {
			r = '_'
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

// appendQuoted writes a value, in quotes only where it needs them.
func appendQuoted(b []byte, s string) []byte {
	if s != "" && !strings.ContainsFunc(s, needsQuote) {
		return append(b, s...)
	}
	return strconv.AppendQuote(b, s)
}

func needsQuote(r rune) bool {
	return r <= ' ' || r == '"' || r == '=' || r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r)
}

// printable replaces control characters, so that text from elsewhere cannot
// move the cursor of a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
