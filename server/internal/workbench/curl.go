package workbench

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// maxCurl is the longest command line that is read, in bytes.
const maxCurl = 64 << 10

// Curl reads a command line of curl, as a shell would, and returns the request
// that it makes and the endpoint that it asks. Options that say how to get to a
// server or what to do with its answer are passed over; others that are not
// known are refused. Nothing is expanded or run. read returns the content of
// the files that the line names (@FILE).
func Curl(line string, read func(name string) ([]byte, error)) (request []byte, to endpoint.URL, err error) {
	if len(line) > maxCurl {
		return nil, to, fmt.Errorf("the command line has %d bytes, and at most %d are read", len(line), maxCurl)
	}
	words, err := shellWords(line)
	if err != nil {
		return nil, to, err
	}
	if len(words) > 0 && (words[0] == "curl" || strings.HasSuffix(words[0], "/curl") || words[0] == "curl.exe") {
		words = words[1:]
	}
	c := &curl{read: read, header: make(http.Header)}
	if err := c.options(words); err != nil {
		return nil, to, err
	}
	return c.request()
}

// shellWords splits a command line.
func shellWords(line string) ([]string, error) {
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(line), "")
	if err != nil {
		return nil, fmt.Errorf("the command line does not parse: %w", err)
	}
	if len(f.Stmts) != 1 {
		return nil, errors.New("this is not one command; a URL with & in it has to be quoted")
	}
	s := f.Stmts[0]
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || s.Negated || s.Background || len(s.Redirs) > 0 || len(call.Assigns) > 0 {
		return nil, errors.New("this is not a plain command; a URL with & in it has to be quoted")
	}
	var words []string
	for _, w := range call.Args {
		text, err := expand.Literal(&expand.Config{NoUnset: true}, w)
		if err != nil {
			return nil, fmt.Errorf("the command line has something that only a shell knows, so write its value: %w", err)
		}
		words = append(words, text)
	}
	return words, nil
}

// curl is what the options say.
type curl struct {
	read   func(string) ([]byte, error)
	method string
	target string
	header http.Header
	// dropped are fields that are not to be sent.
	dropped []string
	body    []string
	hasBody bool
	get     bool
	head    bool
	json    bool
	http2   bool
}

// What an option does with its value; nil passes it over.
type effect func(c *curl, value string) error

// withValue are the options that take a value, flags the others, by all their
// names.
var (
	withValue = map[string]effect{ //nolint:gochecknoglobals // a table
		"-X": (*curl).setMethod, "--request": (*curl).setMethod,
		"-H": (*curl).addHeader, "--header": (*curl).addHeader,
		"-d": (*curl).addData, "--data": (*curl).addData, "--data-ascii": (*curl).addData,
		"--data-binary": (*curl).addBinary, "--data-raw": (*curl).addRaw, "--data-urlencode": (*curl).addEncoded,
		"--json": (*curl).addJSON,
		"-A":     field("User-Agent"), "--user-agent": field("User-Agent"),
		"-e": field("Referer"), "--referer": field("Referer"),
		"-b": (*curl).addCookie, "--cookie": (*curl).addCookie,
		"-u": (*curl).setUser, "--user": (*curl).setUser,
		"--oauth2-bearer": func(c *curl, v string) error { return c.addHeader("Authorization: Bearer " + v) },
		"-r":              func(c *curl, v string) error { return c.addHeader("Range: bytes=" + v) },
		"--range":         func(c *curl, v string) error { return c.addHeader("Range: bytes=" + v) },
		"--url":           (*curl).setURL,
		"-o":              nil, "--output": nil, "-w": nil, "--write-out": nil, "-m": nil, "--max-time": nil, "--connect-timeout": nil,
		"--cacert": nil, "--cert": nil, "-E": nil, "--key": nil, "--resolve": nil, "--connect-to": nil, "-x": nil, "--proxy": nil,
		"-c": nil, "--cookie-jar": nil, "-D": nil, "--dump-header": nil, "--retry": nil, "--max-redirs": nil, "--limit-rate": nil,
	}
	flags = map[string]effect{ //nolint:gochecknoglobals // a table
		"-G": func(c *curl, _ string) error { c.get = true; return nil }, "--get": func(c *curl, _ string) error { c.get = true; return nil },
		"-I": func(c *curl, _ string) error { c.head = true; return nil }, "--head": func(c *curl, _ string) error { c.head = true; return nil },
		"--http2":      func(c *curl, _ string) error { c.http2 = true; return nil },
		"--compressed": func(c *curl, _ string) error { return c.addHeader("Accept-Encoding: deflate, gzip, br") },
		"-s":           nil, "--silent": nil, "-S": nil, "--show-error": nil, "-v": nil, "--verbose": nil, "-i": nil, "--include": nil,
		"-L": nil, "--location": nil, "-k": nil, "--insecure": nil, "-f": nil, "--fail": nil, "-g": nil, "--globoff": nil,
		"-N": nil, "--no-buffer": nil, "-O": nil, "--remote-name": nil, "-4": nil, "--ipv4": nil, "-6": nil, "--ipv6": nil,
		"--http1.1": nil, "--path-as-is": nil, "-#": nil, "--progress-bar": nil, "--no-progress-meter": nil, "--fail-with-body": nil,
	}
)

func field(name string) effect {
	return func(c *curl, v string) error { return c.addHeader(name + ": " + v) }
}

// options reads the words after curl.
func (c *curl) options(words []string) error {
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case len(w) < 2 || w[0] != '-':
			if err := c.setURL(w); err != nil {
				return err
			}
		case strings.HasPrefix(w, "--"):
			used, err := c.option(w, "", words[i+1:])
			if err != nil {
				return err
			}
			i += used
		default:
			used, err := c.cluster(w[1:], words[i+1:])
			if err != nil {
				return err
			}
			i += used
		}
	}
	return nil
}

// cluster reads short options in one word: flags, and perhaps one that takes
// the rest of the word, or the next one, as its value.
func (c *curl) cluster(letters string, next []string) (used int, err error) {
	for i := range len(letters) {
		name := "-" + letters[i:i+1]
		if _, ok := withValue[name]; ok {
			return c.option(name, letters[i+1:], next)
		}
		if _, err := c.option(name, "", nil); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// option applies an option. Its value is what stands behind it, or else the
// next word.
func (c *curl) option(name, behind string, next []string) (used int, err error) {
	if apply, ok := flags[name]; ok {
		if apply == nil {
			return 0, nil
		}
		return 0, apply(c, "")
	}
	apply, ok := withValue[name]
	switch {
	case !ok:
		return 0, fmt.Errorf("the option %s of curl is not known here", name)
	case behind == "" && len(next) == 0:
		return 0, fmt.Errorf("the option %s of curl needs a value", name)
	case behind == "":
		behind, used = next[0], 1
	}
	if apply == nil {
		return used, nil
	}
	return used, apply(c, behind)
}

func (c *curl) setMethod(v string) error {
	c.method = v
	return nil
}

func (c *curl) setURL(v string) error {
	if c.target != "" {
		return errors.New("there are two URLs, and one request is made; quote what belongs to an option")
	}
	c.target = v
	return nil
}

func (c *curl) addHeader(line string) error {
	if strings.ContainsAny(line, "\r\n") {
		return fmt.Errorf("the header %q has a line break", line)
	}
	name, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	switch {
	case !ok && strings.HasSuffix(line, ";"): // "name;" is an empty value
		name = strings.TrimSuffix(line, ";")
	case !ok:
		return fmt.Errorf("the header %q has no colon", line)
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }) {
		return fmt.Errorf("%q is no name of a header", name)
	}
	if ok && value == "" {
		c.dropped = append(c.dropped, textproto.CanonicalMIMEHeaderKey(name))
		return nil
	}
	c.header.Add(name, value)
	return nil
}

func (c *curl) addCookie(v string) error {
	if !strings.Contains(v, "=") {
		return fmt.Errorf("the cookies of the file %s are not read; write them as NAME=VALUE", v)
	}
	return c.addHeader("Cookie: " + v)
}

func (c *curl) setUser(v string) error {
	return c.addHeader("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(v)))
}

// content returns a value, or the file that it names.
func (c *curl) content(v string) (string, error) {
	name, ok := strings.CutPrefix(v, "@")
	if !ok {
		return v, nil
	}
	text, err := c.read(name)
	return string(text), err
}

func (c *curl) addRaw(v string) error {
	c.body, c.hasBody = append(c.body, v), true
	return nil
}

func (c *curl) addBinary(v string) error {
	text, err := c.content(v)
	if err != nil {
		return err
	}
	return c.addRaw(text)
}

// addData is as addBinary; line breaks of files are dropped.
func (c *curl) addData(v string) error {
	text, err := c.content(v)
	if err != nil {
		return err
	}
	if strings.HasPrefix(v, "@") {
		text = strings.NewReplacer("\r", "", "\n", "").Replace(text)
	}
	return c.addRaw(text)
}

func (c *curl) addEncoded(v string) error {
	name, value, named := strings.Cut(v, "=")
	if !named {
		if at, file, ok := strings.Cut(v, "@"); ok {
			text, err := c.read(file)
			if err != nil {
				return err
			}
			name, value, named = at, string(text), at != ""
		} else {
			value = v
		}
	}
	value = url.QueryEscape(value)
	if named && name != "" {
		value = name + "=" + value
	}
	return c.addRaw(value)
}

func (c *curl) addJSON(v string) error {
	c.json = true
	text, err := c.content(v)
	if err != nil {
		return err
	}
	return c.addRaw(text)
}

// request returns the request as text.
func (c *curl) request() ([]byte, endpoint.URL, error) {
	var to endpoint.URL
	if c.target == "" {
		return nil, to, errors.New("the command line has no URL")
	}
	u, err := url.Parse(absolute(c.target))
	if err != nil {
		return nil, to, fmt.Errorf("the URL is not valid: %w", err)
	}
	if to, err = endpoint.ParseURL(u.Scheme+"://"+u.Host, endpoint.HTTP); err != nil {
		return nil, to, err
	}
	if !to.Scheme.IsHTTP() || to.Host == "" {
		return nil, to, fmt.Errorf("the URL %s is none of http or https with a host", c.target)
	}
	separator := "&"
	if c.json {
		separator = ""
	}
	body := strings.Join(c.body, separator)
	if c.get {
		u.RawQuery = strings.Trim(u.RawQuery+"&"+body, "&")
		body, c.hasBody = "", false
	}
	return c.write(u, body), to, nil
}

func absolute(target string) string {
	if strings.Contains(target, "://") {
		return target
	}
	return "http://" + target
}

// write writes the request as curl does.
func (c *curl) write(u *url.URL, body string) []byte {
	method := "GET"
	switch {
	case c.head:
		method = http.MethodHead
	case c.hasBody:
		method = http.MethodPost
	}
	method = cmp.Or(c.method, method)
	version := "HTTP/1.1"
	if c.http2 {
		version = "HTTP/2.0"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\nHost: %s\n", method, u.RequestURI(), version, cmp.Or(c.header.Get("Host"), u.Host))
	c.header.Del("Host")
	if user := u.User; user != nil && c.header.Get("Authorization") == "" {
		password, _ := user.Password()
		_ = c.setUser(user.Username() + ":" + password) // Base64 has no line break
	}
	accept, content := "*/*", "application/x-www-form-urlencoded"
	if c.json {
		accept, content = "application/json", "application/json"
	}
	defaults := [][2]string{{"User-Agent", "curl/8"}, {"Accept", accept}}
	if c.hasBody {
		defaults = append(defaults, [2]string{"Content-Type", content})
	}
	for _, d := range defaults {
		if c.header.Get(d[0]) == "" && !slices.Contains(c.dropped, d[0]) {
			c.header.Set(d[0], d[1])
		}
	}
	_ = writeSorted(&b, c.header) // to memory
	b.WriteString("\n" + body)
	if c.hasBody && body != "" {
		b.WriteString("\n")
	}
	return []byte(b.String())
}

func writeSorted(w io.StringWriter, h http.Header) error {
	var b strings.Builder
	if err := h.Write(&b); err != nil {
		return err
	}
	_, err := w.WriteString(strings.ReplaceAll(b.String(), "\r\n", "\n"))
	return err
}
