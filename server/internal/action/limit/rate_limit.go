package limit

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/window"
)

type rateConfig struct {
	Name      string        `field:"name,required" length:"1,1023" doc:"names the limit; its counts last as long as the name, the rate and the keys stay as they are"`
	Algorithm string        `field:"algorithm,required" enum:"sliding_window" doc:"how requests are counted"`
	Capacity  int           `field:"capacity,required" range:"1,2000000000" doc:"how many requests of a bucket pass within any window"`
	Rate      time.Duration `field:"rate,required" range:"60s,24h" doc:"length of the window, in steps of 10 seconds"`
	Key       []*expr.Value `field:"bucket_key,required" count:"1,10" doc:"expressions; requests for which all of them give the same values share a bucket"`
	Enforce   bool          `field:"enforce" doc:"false counts and never refuses"`
}

func rateDefinition(c Config) policy.Definition {
	tables := &states[*window.Table]{}
	return policy.Define(policy.Definition{
		Type:   "rate-limit",
		Doc:    "Lets a number of requests pass within a window of time, counted by keys.",
		Phases: []policy.Phase{policy.OnHTTPRequest},
		Results: []expr.Variable{
			{Name: "rate_limit.bucket_key", Kind: expr.KindText, Doc: "the values of the keys, joined with commas"},
			{Name: "rate_limit.limited", Kind: expr.KindBool, Doc: "whether the request is over the limit"},
			{Name: "rate_limit.error.code", Kind: expr.KindText, Doc: "always empty"},
			{Name: "rate_limit.error.message", Kind: expr.KindText, Doc: "always empty"},
		},
	}, rateConfig{Enforce: true}, func(cfg *rateConfig, b *policy.Build) policy.Action {
		if cfg.Rate%window.Slot != 0 {
			b.Problem("rate", fault.PolicyValueInvalid, "rate is %s, and has to be a multiple of %s", cfg.Rate, window.Slot)
			return nil
		}
		settings := []string{"rate-limit", cfg.Name, cfg.Rate.String()}
		for _, k := range cfg.Key {
			settings = append(settings, k.String())
		}
		return &rateLimit{
			rateConfig: cfg, tables: tables, keys: c.Keys, id: identity(b, settings...),
			byAddress: len(cfg.Key) == 1 && strings.TrimSpace(cfg.Key[0].String()) == "conn.client_ip",
		}
	})
}

type rateLimit struct {
	*rateConfig
	tables *states[*window.Table]
	keys   int
	id     string
	// byAddress is set if the only key is conn.client_ip.
	byAddress bool
}

// Do implements policy.Action.
func (a *rateLimit) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	table := a.tables.get(placeOf(x, a.id), func() *window.Table { return window.New(a.Rate, a.keys) })
	var space [256]byte
	key, text := a.bucket(x, space[:0])
	ok, wait := table.Take(key, uint32(a.Capacity)) //nolint:gosec // bounded
	x.SetResultLater("rate_limit", func() map[string]any {
		return map[string]any{"bucket_key": text, "limited": !ok, "error.code": "", "error.message": ""}
	})
	if ok || !a.Enforce {
		return policy.Continue, nil
	}
	x.Respond(http.StatusTooManyRequests, "").Header.Set("Retry-After", seconds(wait)) //nolint:bodyclose // it is the exchange's
	return policy.Refuse, nil
}

// bucket returns what the request is counted under. A key that fails counts as
// empty (traffic-policy.md 3.2).
func (a *rateLimit) bucket(x *policy.Exchange, space []byte) (window.Key, string) {
	if a.byAddress {
		text := network(x.Conn.Client.Addr())
		return window.KeyOf(append(space, text...)), text
	}
	values := make([]string, len(a.Key))
	for i, k := range a.Key {
		values[i], _ = x.EvalText(k) //nolint:errcheck // empty then
		space = window.Join(space, values[i])
	}
	return window.KeyOf(space), strings.Join(values, ",")
}

// network is a client's address, or of IPv6 the /64 that a client moves in as
// it likes (decision 47).
func network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a.String()
	}
	p, _ := a.Prefix(64) //nolint:errcheck // fits
	return p.String()
}

// seconds rounds up to whole seconds, at least 1.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(int((d+time.Second-1)/time.Second), 1))
}
