package edge

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

//go:embed errorpage.html
var pageSource string

var page = template.Must(template.New("error").Parse(pageSource))

// pageData is what the page shows. All of it is escaped by the template.
type pageData struct {
	Status               int
	Code                 fault.Code
	Title, Message       string
	Remedy, RequestID    string
	Time                 string
	You, Server, Service string // classes of the three stations
}

// format is a form in which a fault can be told.
type format uint8

const (
	asProblem format = iota // application/problem+json
	asHTML
	asText
	asGRPC
)

// preferred chooses the form of an error answer (endpoints.md 15.1): HTML for
// who prefers it, as browsers do, problem+json for programs and for who takes
// anything, plain text for who takes neither.
func preferred(r *http.Request) format {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		return asGRPC
	}
	accept := r.Header["Accept"]
	if len(accept) == 0 {
		return asProblem
	}
	var html, problem, text quality
	for _, list := range accept {
		for item := range strings.SplitSeq(list, ",") {
			media, params, _ := strings.Cut(item, ";")
			q := weight(params)
			switch strings.ToLower(strings.TrimSpace(media)) {
			case "text/html", "application/xhtml+xml":
				html.set(q, 3)
			case "application/json", "application/problem+json":
				problem.set(q, 3)
			case "text/plain":
				text.set(q, 3)
			case "text/*":
				html.set(q, 2)
				text.set(q, 2)
			case "application/*":
				problem.set(q, 2)
			case "*/*":
				html.set(q, 1)
				problem.set(q, 1)
				text.set(q, 1)
			}
		}
	}
	switch {
	case html.q > problem.q, html.q == problem.q && html.q > 0 && html.precision > problem.precision:
		return asHTML
	case problem.q > 0 && (problem.precision > 1 || text.precision < 2):
		return asProblem
	}
	return asText
}

// quality is how much a client wants a media type, in thousandths.
type quality struct{ q, precision int }

// set notes a media range; the most precise one that matches counts.
func (v *quality) set(q, precision int) {
	if precision > v.precision || precision == v.precision && q > v.q {
		v.q, v.precision = q, precision
	}
}

// weight reads the q parameter, 1000 if there is none.
func weight(params string) int {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || !(f >= 0 && f <= 1) {
			return 0
		}
		return int(f * 1000)
	}
	return 1000
}

// forStrangers is what a stranger may read of a fault. Why an expression of a policy
// failed is for the owner alone, who finds it in the access log, or in the server's log at
// its level debug: the reason may name what the policy is made of, such as vaults.
func forStrangers(f *fault.Error) *fault.Error {
	if f.Code != fault.InterpolationFailed {
		return f
	}
	out := *f
	out.Message = "An expression in the policy of this endpoint failed."
	out.Remedy = "If it lasts, tell the owner of the endpoint: the reason is in the server's log, under this request id."
	return &out
}

// writeFault answers with f. Nothing of the answer may have been written, and
// the header has nothing but fields of the connection.
func writeFault(w http.ResponseWriter, r *http.Request, f *fault.Error, requestID string) {
	f = forStrangers(f)
	h := w.Header()
	h["Date"] = nil
	h[errorCodeField] = []string{string(f.Code)}
	h["Cache-Control"] = []string{"no-store"}
	if f.Status == http.StatusServiceUnavailable {
		h["Retry-After"] = []string{"1"}
	}
	if f.Status == http.StatusMethodNotAllowed {
		h["Allow"] = []string{"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
	}
	form := preferred(r)
	if form == asGRPC {
		writeGRPC(w, f, requestID)
		return
	}
	status := f.Status
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	body, contentType := render(form, f, status, requestID)
	h["Content-Type"] = []string{contentType}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	if form == asHTML {
		h["Content-Security-Policy"] = []string{"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
		h["Referrer-Policy"] = []string{"no-referrer"}
	}
	h["Vary"] = []string{"Accept"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
	}
}

func render(form format, f *fault.Error, status int, requestID string) (body []byte, contentType string) {
	switch form {
	case asHTML:
		return renderHTML(f, status, requestID), "text/html; charset=utf-8"
	case asProblem:
		return renderProblem(f, status, requestID), "application/problem+json"
	default: // asText; gRPC has no body
	}
	var b strings.Builder
	b.WriteString(f.Title + "\n\n" + f.Message + "\n")
	if f.Remedy != "" {
		b.WriteString(f.Remedy + "\n")
	}
	b.WriteString("\n" + string(f.Code) + "\nrequest id: " + requestID + "\n")
	return []byte(b.String()), "text/plain; charset=utf-8"
}

func renderHTML(f *fault.Error, status int, requestID string) []byte {
	d := pageData{
		Status: status, Code: f.Code, Title: f.Title, Message: f.Message, Remedy: f.Remedy,
		RequestID: requestID, Time: time.Now().UTC().Format("2006-01-02 15:04:05 UTC"),
		You: "ok", Server: "ok", Service: "ok",
	}
	switch side(f) {
	case sideClient:
		d.You, d.Service = "bad", "idle"
	case sideServer:
		d.Server, d.Service = "bad", "idle"
	case sideService:
		d.Service = "bad"
	}
	var b strings.Builder
	if err := page.Execute(&b, d); err != nil { // the template is constant and takes these fields
		return []byte(string(f.Code))
	}
	return []byte(b.String())
}

// problem is an answer in the form of RFC 9457.
type problem struct {
	Type      string     `json:"type"`
	Title     string     `json:"title"`
	Status    int        `json:"status"`
	Detail    string     `json:"detail"`
	Code      fault.Code `json:"code"`
	Remedy    string     `json:"remedy,omitempty"`
	RequestID string     `json:"request_id"`
}

func renderProblem(f *fault.Error, status int, requestID string) []byte {
	b, err := json.MarshalIndent(problem{
		Type: "about:blank", Title: f.Title, Status: status, Detail: f.Message,
		Code: f.Code, Remedy: f.Remedy, RequestID: requestID,
	}, "", "  ")
	if err != nil { // strings and numbers always encode
		return []byte("{}\n")
	}
	return append(b, '\n')
}

// writeGRPC answers a gRPC call: status 14, unavailable, without a body, so
// that the fields are its trailers (endpoints.md 15.1).
func writeGRPC(w http.ResponseWriter, f *fault.Error, requestID string) {
	h := w.Header()
	h["Content-Type"] = []string{"application/grpc"}
	h["Grpc-Status"] = []string{"14"}
	h["Grpc-Message"] = []string{grpcMessage(string(f.Code) + ": " + f.Message + " (request id " + requestID + ")")}
	h["Content-Length"] = nil
	w.WriteHeader(http.StatusOK)
}

// grpcMessage escapes a status message as gRPC over HTTP/2 has it: printable
// ASCII but "%" stays.
func grpcMessage(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// whose says on whose side a fault lies.
type whose uint8

const (
	sideService whose = iota
	sideServer
	sideClient
)

func side(f *fault.Error) whose {
	switch f.Code {
	case fault.Internal, fault.Draining, fault.Overloaded, fault.MixedPool:
		return sideServer
	case fault.EndpointOffline, fault.TunnelNotFound, fault.AccountBarred:
		return sideService
	default:
	}
	if f.Status >= 400 && f.Status < 500 || f.Code == fault.VersionRefused || f.Code == fault.CodingRefused {
		return sideClient
	}
	return sideService
}
