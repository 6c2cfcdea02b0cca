// Package bundle reads certificates and private keys as people upload them, in PEM, and says in their terms what is
// wrong with them (api.md 2.4, 2.5). What it accepts can be served as it is; expired certificates are accepted too.
package bundle
