// Package policytest runs cases of Traffic Policy as tests: archives in the form
// that policycase describes, each case a subtest. The flag -update writes what
// comes out into them.
package policytest
