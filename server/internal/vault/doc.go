// Package vault holds the server's keys: it seals what clients carry for the server (resume tokens,
// cookies), makes keyed hashes of credentials, and masks those that messages mention.
//
// The keys live in one text file in the data directory, made on first use with mode 0600 and refused when
// others can read it. The file names one pepper, which never changes because stored hashes depend on it, and
// one or more sealing keys, of which the first seals and all open: [Rotate] puts a new one in front, [DropOld]
// removes the others when nothing sealed with them matters any more. A vault notices within a second.
//
// Every use names a purpose, from which a key of its own is derived (HKDF-SHA-256), so that text sealed for one
// purpose never opens for another. Sealing is AES-256-GCM with random nonces.
//
// A [Vault] is safe for concurrent use. It is not a store of users' secrets.
package vault
