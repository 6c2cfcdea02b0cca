// Package apiv7 holds the API to the official Go client, major 7, unmodified: the one that the Kubernetes operator is
// built on. The rounds are apisuite's; what the operator itself asks for stands in operator_test.go.
package apiv7
