// Package terraform holds the API to what the Terraform provider asks of it, through the client that the provider is
// built on: which fields it sends when, what it reads back, and which differences it forgives (api.md 7.2). The
// provider itself needs a program from elsewhere; its calls do not.
package terraform
