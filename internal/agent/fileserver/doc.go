// Package fileserver is the upstream behind file:// URLs: it serves one folder
// over HTTP, read only.
//
// Invariants: nothing outside the folder is ever read, neither by ".." nor by a
// symbolic link, because every file is opened through an os.Root; names that
// begin with a dot do not exist unless the request says ?hidden=1; every
// refusal looks like a missing file, so that a stranger learns nothing about
// what lies outside (reference: agent, section 15).
//
// A folder with an index.html shows that file, any other folder shows a list of
// its entries. Ranges, conditional requests and media types are those of
// net/http.
//
// Concurrency: a Server may be used by any number of requests at once. Close
// makes later requests fail.
//
// The package is not for single files, uploads or directory indexes in any
// other format than HTML.
package fileserver
