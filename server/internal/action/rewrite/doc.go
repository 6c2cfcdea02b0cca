// Package rewrite has the actions of Traffic Policy that change what passes:
// url-rewrite, request-body-find-replace, response-body-find-replace and
// sse-find-replace (traffic-policy.md 6.20, 6.21, 6.24, 6.27).
package rewrite
