// Package claims holds the rules of the places of endpoints: which URL a bind gets, who may have it, and how long it is
// kept for an agent that has lost its connection.
//
// A [Binder] turns a bind request into a claim. A claim holds one place, that is a host and port, or a TCP
// port; several claims share a place only as a pool. Claims are found again by the endpoint's id, which
// travels in a sealed resume token, so that an agent that comes back, also to a server that was restarted,
// gets the same URL and id.
//
// Rules worth knowing:
//
//   - Stored places carry the scheme's own port (80, 443) or that of an extra listener. Advertised ports
//     are accepted as synonyms and used wherever a URL is shown.
//   - A claim that was lost uncleanly is held for a grace period. The resume token restores it. Nobody gets
//     a held place by chance, and no other account gets it at all; but an agent of the same account that asks
//     for exactly this place takes it, so that restarting a killed agent works at once.
//   - A resume token takes its claim over from a stale holder at once.
//   - If a URL cannot be had again, only an agent that said it can take another one is given one, and
//     only if the server had chosen the URL in the first place. All others get the fault; the tunnel layer
//     knows how to tell each kind of agent.
//   - Options for what the actions of policies do, modules, become rules ahead of the endpoint's policy.
//   - Options that would protect something and are not built are refused, never ignored.
//
// Stored endpoints have claims as well, which know no session and no end. An update claims its place before it
// is stored ([Binder.Stand]), beside the place that the endpoint has; when the last update under way is through
// ([Binder.Settle]), what is stored keeps its place and everything else is given up. So places are never held twice,
// whatever fails in between. Ports of stored endpoints are opened once the edge runs. The documents themselves belong to
// package control, as do the reservations of names, which are asked by [Names].
//
// All state is in memory under one mutex that is a leaf: ports are opened and closed outside of it, while
// their place is marked busy. Every operation costs the same whatever the number of claims, but for the
// search for a free TCP port. A Binder is safe for concurrent use. It does not route: endpoints are
// published by others once they are reserved.
package claims
