// Package intel knows facts about IP addresses: where they are, whose network
// they belong to, and which categories they are in (traffic-policy.md 8.3 and
// 13).
//
// Facts come from files that the operator provides: databases in MaxMind's
// format, and a folder of address lists whose file names are categories. They
// are read when the server starts and again when a file was replaced. Without
// them nothing is known, which is no error. Nobody is asked over the network.
//
// An [Intel] may be used by many goroutines; a look-up takes no lock.
package intel
