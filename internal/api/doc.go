// Package api describes the REST API: its resources as tables ([Resource]) and the objects that it answers with.
//
// The tables are the one truth about paths, fields, lengths and codes. The server decodes bodies, pages, filters
// and writes the OpenAPI document by them; culvert api makes its commands and flags of them. A resource has one
// file here, with its table and its answer; a test holds the two together.
//
// The package knows no rules that need more than one value, and nothing of HTTP servers.
package api
