// Package id makes identifiers for resources: a short prefix that names the kind, and 26 characters that
// nobody can guess. They contain lower-case letters, digits and one underscore only, so they are safe in file
// names, URLs and log records. It also judges what may be an authtoken at all. Safe for concurrent use. Identifiers are not secrets.
package id
