// Package muxado runs our multiplexer against the public one of the Go SDKs, in both roles. It has tests only.
package muxado
