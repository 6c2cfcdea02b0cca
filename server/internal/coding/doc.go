// Package coding reads the content codings of HTTP: gzip, deflate and br (RFC
// 9110 8.4).
package coding
