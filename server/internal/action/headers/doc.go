// Package headers has the actions of Traffic Policy that change the headers of
// requests and responses: add-headers and remove-headers (traffic-policy.md
// 6.1, 6.19).
package headers
