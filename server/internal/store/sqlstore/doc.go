// Package sqlstore keeps documents in a SQL database: SQLite in the data directory, or PostgreSQL.
//
// Both dialects have the same tables (schema.go) and the same code; what differs stands in sqlite.go and
// postgres.go. Updates that come at the same time share one transaction of the database, each behind its own
// savepoint, and are answered when it is committed: durable writes are slow one by one and fast in groups.
//
// Updates are applied one after the other, across processes too: SQLite allows one writer, and in PostgreSQL
// an advisory lock stands for that, so that what an update has read still holds when it is committed.
package sqlstore
