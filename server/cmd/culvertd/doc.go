// Command culvertd is the Culvert server: it accepts agents, gives their
// endpoints public URLs and carries traffic between the two.
//
// The program turns flags, CULVERTD_… variables and a YAML file into one
// configuration, in this order of precedence, runs the server with it and
// translates signals and errors into exit codes. Everything else is in the
// packages below. It exits with 0 after a clean stop and with 1 for any failure;
// nothing is started unless every setting is valid.
package main
