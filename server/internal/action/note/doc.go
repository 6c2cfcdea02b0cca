// Package note holds the actions that record something and change nothing on
// the way: set-vars and log (traffic-policy.md 6.12, 6.23).
package note
