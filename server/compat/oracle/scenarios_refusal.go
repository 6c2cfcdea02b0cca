package oracle

import (
	"testing"
)

// refusalScenarios are things that the server says no to, and the code that the library shows.
func refusalScenarios() []scenario {
	app := App{Name: "app", Kind: "http"}
	bind := func(code string, e func(st *Stage) Endpoint) func(*testing.T, *Stage) {
		return func(t *testing.T, st *Stage) {
			_, err := st.Session(t).Listen(t.Context(), e(st), app)
			st.WantCode(t, err, code)
		}
	}
	noURLs := func(l Lacks) bool { return l.URLs }
	return []scenario{
		{name: "refused_token_malformed", run: func(t *testing.T, st *Stage) {
			_, err := st.Library.Connect(t, Settings{Addr: st.AgentAddr, CA: st.CA, Token: "short"})
			st.WantCode(t, err, "ERR_NGROK_105")
		}},
		{name: "refused_token_unknown", run: func(t *testing.T, st *Stage) {
			_, err := st.Library.Connect(t, Settings{Addr: st.AgentAddr, CA: st.CA, Token: "2aaaaaaaaaaaaaaaaaaaaaaaaaa_3bbbbbbbbbbbbbbbbbbbb"})
			st.WantCode(t, err, "ERR_NGROK_107")
		}},
		{name: "refused_url_taken", run: func(t *testing.T, st *Stage) {
			e := Endpoint{Scheme: "https", Host: st.Host()}
			st.Listen(t, e, app)
			_, err := st.Session(t).Listen(t.Context(), e, app)
			st.WantCode(t, err, "ERR_NGROK_334")
		}},
		{name: "refused_name_not_ours", run: bind("ERR_NGROK_319", func(*Stage) Endpoint {
			return Endpoint{Scheme: "https", Host: "app.example.org"}
		})},
		{name: "refused_name_malformed", run: bind("ERR_NGROK_355", func(st *Stage) Endpoint {
			return Endpoint{Scheme: "https", Host: "under_score." + st.Domain}
		})},
		{name: "refused_url_with_user", lacks: noURLs, run: bind("ERR_NGROK_9037", func(st *Stage) Endpoint {
			return Endpoint{Scheme: "https", URL: "https://user@" + st.Host()}
		})},
		{name: "refused_url_with_slash", lacks: noURLs, run: bind("ERR_NGROK_9038", func(st *Stage) Endpoint {
			return Endpoint{Scheme: "https", URL: "https://" + st.Host() + "/"}
		})},
		{name: "refused_port", lacks: noURLs, run: bind("ERR_NGROK_9035", func(st *Stage) Endpoint {
			return Endpoint{Scheme: "https", URL: "https://" + st.Host() + ":1234"}
		})},
		{name: "refused_labels", lacks: func(l Lacks) bool { return l.Labels }, run: func(t *testing.T, st *Stage) {
			_, err := st.Session(t).Listen(t.Context(), Endpoint{Labels: map[string]string{"edge": "edghts_x"}}, app)
			if err == nil {
				t.Fatal("a labelled tunnel was accepted")
			}
			t.Logf("refused with %v", err)
		}},
		{name: "refused_then_free", run: func(t *testing.T, st *Stage) {
			e := Endpoint{Scheme: "https", Host: st.Host()}
			holder := st.Listen(t, e, App{Name: "first", Kind: "http"})
			other := st.Session(t)
			_, err := other.Listen(t.Context(), e, app)
			st.WantCode(t, err, "ERR_NGROK_334")
			if err := holder.Close(); err != nil {
				t.Fatal(err)
			}
			o := MustListen(t, other, e, App{Name: "second", Kind: "http"})
			if seen := Get(t, st.Client(t), o.URL()+"/"); seen.Name != "second" {
				t.Errorf("answered by %q, want the second holder", seen.Name)
			}
		}},
	}
}
