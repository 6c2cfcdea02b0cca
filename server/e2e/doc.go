// Package e2e drives the real programs, culvertd and culvert, as a person would:
// command lines, files, signals and exit codes. It has tests only.
//
// The archives under testdata/script are scenarios of their own. Beside the
// commands of testscript they have:
//
//	start NAME CMD...       run a program in the background; its output goes to NAME.out and NAME.err
//	await FILE REGEXP       wait until FILE has a line that matches; named groups become variables
//	signal NAME SIGNAL      send TERM, INT, KILL, STOP or CONT to a program
//	finish NAME CODE        wait for the end of a program and check its exit code
//	fetch FILE URL [BODY]   request a URL, with the CA in $CA if set, and write status, headers and body to FILE
//	ask FILE URL            fetch in the background
//	answered FILE TEXT...   wait for the answer and check that it has each TEXT
//	unready URL             wait until URL has not answered 200 for a moment
//	web NAME                serve HTTP on a free port, in $NAME; answers name the request, /hold/5s takes 5 s; web.log
//	                        lists requests
//
// Programs listen on free ports of loopback only.
package e2e
