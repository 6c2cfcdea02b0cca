// Package storetest is the contract of store.Store as a suite of tests. Each implementation runs it.
package storetest
