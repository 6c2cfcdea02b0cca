package workbench_test

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/workbench"
)

func files(name string) ([]byte, error) {
	if name == "body.txt" {
		return []byte("a\nb\n"), nil
	}
	return nil, errors.New("there is no file " + name)
}

func TestCurl(t *testing.T) {
	t.Parallel()
	const defaults = "Accept: */*\nUser-Agent: curl/8\n"
	const form = "Accept: */*\nContent-Type: application/x-www-form-urlencoded\nUser-Agent: curl/8\n"
	for line, want := range map[string]string{
		"curl https://a.example":                       "GET / HTTP/1.1\nHost: a.example\n" + defaults + "\n",
		"a.example:8080/x?y=1":                         "GET /x?y=1 HTTP/1.1\nHost: a.example:8080\n" + defaults + "\n",
		"curl -sSL -X DELETE 'https://a.example/?a&b'": "DELETE /?a&b HTTP/1.1\nHost: a.example\n" + defaults + "\n",
		"curl -XPUT --http2 -d x https://a.example":    "PUT / HTTP/2.0\nHost: a.example\n" + form + "\nx\n",
		`curl 'https://a.example' \
  -H 'x-a: 1' -H "X-A: \"2\"" -H 'Host: b.example' -H 'Accept:' -H $'x-b: it\'s' \
  --compressed`: "GET / HTTP/1.1\nHost: b.example\nAccept-Encoding: deflate, gzip, br\nUser-Agent: curl/8\nX-A: 1\nX-A: \"2\"\nX-B: it's\n\n",
		"curl -d a=1 -d b=2 --data-urlencode 'c=x y&' a.example":      "POST / HTTP/1.1\nHost: a.example\n" + form + "\na=1&b=2&c=x+y%26\n",
		"curl -G -d q=1 'a.example/s?p=0'":                            "GET /s?p=0&q=1 HTTP/1.1\nHost: a.example\n" + defaults + "\n",
		"curl -d @body.txt a.example":                                 "POST / HTTP/1.1\nHost: a.example\n" + form + "\nab\n",
		"curl --data-binary @body.txt a.example":                      "POST / HTTP/1.1\nHost: a.example\n" + form + "\na\nb\n\n",
		"curl --data-raw @body.txt a.example":                         "POST / HTTP/1.1\nHost: a.example\n" + form + "\n@body.txt\n",
		"curl --json '{}' a.example":                                  "POST / HTTP/1.1\nHost: a.example\nAccept: application/json\nContent-Type: application/json\nUser-Agent: curl/8\n\n{}\n",
		"curl -I -A bot -e https://r.example -b a=1 a.example":        "HEAD / HTTP/1.1\nHost: a.example\nAccept: */*\nCookie: a=1\nReferer: https://r.example\nUser-Agent: bot\n\n",
		"curl -u user:pass a.example":                                 "GET / HTTP/1.1\nHost: a.example\nAccept: */*\nAuthorization: Basic dXNlcjpwYXNz\nUser-Agent: curl/8\n\n",
		"curl http://user:pass@a.example":                             "GET / HTTP/1.1\nHost: a.example\nAccept: */*\nAuthorization: Basic dXNlcjpwYXNz\nUser-Agent: curl/8\n\n",
		"curl -o out -m 5 --max-redirs 3 -w '%{http_code}' a.example": "GET / HTTP/1.1\nHost: a.example\n" + defaults + "\n",
	} {
		got, to, err := workbench.Curl(line, files)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %v\n%s\nwant\n%s", line, err, got, want)
		}
		scheme := "http"
		if strings.Contains(line, "https://a") {
			scheme = "https"
		}
		if string(to.Scheme) != scheme || to.Host != "a.example" {
			t.Errorf("%s: goes to %s", line, to)
		}
	}
}

func TestCurlThatIsNotUnderstood(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                                 "one command",
		"curl":                             "no URL",
		"curl -s":                          "no URL",
		"curl https://a.example/?a=1&b=2":  "quoted",
		"curl https://a.example > out":     "quoted",
		"curl a.example; rm x":             "one command",
		"curl a.example | jq":              "quoted",
		"curl $(id)":                       "a shell knows",
		"curl \"$TOKEN\"":                  "a shell knows",
		"curl a.example b.example":         "two URLs",
		"curl -X":                          "needs a value",
		"curl --nonsense a.example":        "--nonsense",
		"curl -Fa=b a.example":             "-F",
		"curl -H nonsense a.example":       "no colon",
		"curl -H 'a b: c' a.example":       "no name",
		"curl -H $'a: b\\nc: d' a.example": "line break",
		"curl -d @none.txt a.example":      "none.txt",
		"curl -b jar.txt a.example":        "jar.txt",
		"curl ftp://a.example":             "ftp",
		"curl 'https://a.example":          "parse",
		"curl http://":                     "host",
		strings.Repeat("x", 70_000):        "bytes",
	} {
		got, _, err := workbench.Curl(line, files)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v and %q, want an error about %q", line, err, got, want)
		}
	}
}

// FuzzCurl reads any line: it is refused with a reason, or makes one request
// that parses.
func FuzzCurl(f *testing.F) {
	for _, s := range []string{
		"curl https://a.example", "curl -XPOST -d 'a' $'\\x41' a.example", "curl {1..9}", "curl -H 'a:b' -H 'Host: c' --url a", "curl -u a:b http://c@d/%zz",
		"curl -G -d '#' a.example", "curl \"${x:-a}\" $((1/0)) ~", "curl -I a:1 -X 'A B'", "curl -e '\r\n' [::1]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		text, to, err := workbench.Curl(line, files)
		if err != nil {
			if err.Error() == "" {
				t.Errorf("%q is refused without a reason", line)
			}
			return
		}
		if to.Host == "" || !to.Scheme.IsHTTP() {
			t.Errorf("%q goes to %s", line, to)
		}
		head, _, _ := strings.Cut(string(text), "\n\n")
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
		if err == nil && strings.Count(head, "\nHost: ") != 1 {
			t.Errorf("%q makes %q", line, head)
		}
		_ = r
	})
}
