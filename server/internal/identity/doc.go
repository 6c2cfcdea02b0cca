// Package identity knows who may connect: it keeps the server's authtokens.
//
// The tokens lie in tokens.json in the data directory, as keyed hashes (HMAC-SHA-256 with the vault's
// pepper): who reads the file cannot connect with it. A token is shown once, when it is made. The file is
// replaced atomically, so another process may add a token while the server runs; the server notices by the
// file's identity and reads it again.
//
// There is one account, [DefaultAccount], until the control plane brings more; its rules do not show here.
//
// A [Store] is safe for concurrent use. Changes by several processes are serialised by a lock file.
package identity
