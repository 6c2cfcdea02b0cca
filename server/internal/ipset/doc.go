// Package ipset holds sets of address ranges that are asked for each request, and who they let in.
//
// A [Set] finds the longest of its ranges that holds an address in one step per length that occurs. It does not
// change once others can see it; then many goroutines may ask it.
package ipset
