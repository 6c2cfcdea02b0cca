// Package workbench lets people work on Traffic Policies without a server:
// check judges documents, run shows what a policy does with one request, test
// runs cases, and schema describes documents to editors.
//
// A [Bench] writes its results to what it is given, for people or as JSON, and
// returns whether they are good; an error means that there is no result. The
// forms of the JSON are part of the manual (docs/policy/workbench.md) and only
// grow. Nothing here uses the network, and the actions a Bench knows are those
// of its registry.
package workbench
