// Package identity knows who may connect and who may call the API: accounts, users, service users, and their
// credentials, which are authtokens for agents and API keys.
//
// They are documents in the store. Of a credential only the keyed hash is kept (HMAC-SHA-256 with the vault's
// pepper): who reads the database cannot connect with it. A text is shown once, when it is made, and its
// beginning tells what kind it is. A [Roster] is the copy in memory that authentication works with; it follows
// the store and never reads it for a request.
//
// Servers of before kept authtokens in tokens.json in the data directory. [ReadFile] reads it, to be taken over
// once.
//
// The rules by which all of this is made and changed belong to package control.
package identity
