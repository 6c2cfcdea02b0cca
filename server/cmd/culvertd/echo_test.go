package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestEchoPage(t *testing.T) {
	t.Parallel()
	page := newEchoPage()
	for name, tt := range map[string]struct {
		accept, body string
		typ          string
		want, not    []string
	}{
		"curl": {
			accept: "*/*", body: "hello", typ: "text/plain; charset=utf-8",
			want: []string{"POST /a?b=<c> HTTP/1.1", "Host: x.test", "X-Mark: <m>", "hello"},
		},
		"browser": {
			accept: "text/html,*/*;q=0.8", body: "<script>", typ: "text/html; charset=utf-8",
			want: []string{"<!doctype html>", "X-Mark", "&lt;m&gt;", "&lt;script&gt;", "x.test"},
			not:  []string{"<script>", "src=", "href="},
		},
		"large body":  {accept: "*/*", body: strings.Repeat("x", maxEcho+1), typ: "text/plain; charset=utf-8", want: []string{"more than 65536 bytes"}},
		"binary body": {accept: "*/*", body: "\xff\xfe", typ: "text/plain; charset=utf-8", want: []string{"2 bytes that are not text"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/a?b=<c>", strings.NewReader(tt.body))
			r.Host = "x.test"
			r.Header.Set("Accept", tt.accept)
			r.Header.Set("X-Mark", "<m>")
			w := httptest.NewRecorder()
			page.ServeHTTP(w, r)
			got := w.Body.String()
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != tt.typ {
				t.Errorf("got %d, %s", w.Code, w.Header().Get("Content-Type"))
			}
			for _, s := range tt.want {
				if !strings.Contains(got, s) {
					t.Errorf("%q is not in\n%s", s, got)
				}
			}
			for _, s := range tt.not {
				if strings.Contains(got, s) {
					t.Errorf("%q is in\n%s", s, got)
				}
			}
		})
	}
}
