// Package usage keeps the books of what accounts use (api.md 5), and holds them to the limits of it.
//
// A [Ledger] collects from the meters every two seconds and at each full hour, and writes to the store once a minute and
// when the server ends. What it writes comes in batches, each in one update and known by its id, so that none is entered
// twice, however an update ends.
//
// There is a document for what an account did in a clock hour, with others for its endpoints one by one, and a document
// for each month. Hours are kept for 40 days and months for 25 months. An hour has up to 10 000 endpoints of an account;
// what further ones did is in the account's sums, and in a line without a name.
//
// The Ledger is a projection too: it tells the meters of the limits of accounts. A limit of a month counts what the
// books have of it, so that a restart forgets nothing that was written.
package usage
