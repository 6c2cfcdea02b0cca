// Package report shows errors to the person at the command line, in the one
// form that both programs have: every line of what is wrong, what to do, the
// code, and where that is explained.
//
// A Report is a plain value. Nothing in it is cut or changed: faults have made
// their text safe already.
//
// The package is not for logs, nor for errors that travel to agents or clients;
// those have forms of their own.
package report
