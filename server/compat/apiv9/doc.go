// Package apiv9 holds the API to the official Go client, major 9, unmodified: the one that the Terraform provider is
// built on. The rounds are apisuite's; what Terraform asks for stands in package terraform.
package apiv9
