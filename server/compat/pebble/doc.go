// Package pebble tests certificates against Pebble, the authority that Let's
// Encrypt gives to testers. It runs strict, refuses every second nonce, and
// believes a name server of the tests, which takes dynamic updates as well.
package pebble
