// Package backoff computes the delays between attempts that fail: exponential growth with full jitter, so
// that many agents which lost the same server do not come back at the same moment.
//
// A [Backoff] never sleeps; who wants to has [Sleep]. When to call Reset is the caller's rule; the agent does
// so after 60 s of health (agent.md 10.6).
package backoff
