// Package rest serves the REST API (api.md): routes, headers, pages and error bodies over the resources of
// package control. Routes follow from their tables; nothing here knows a resource by name.
//
// Every request is judged in the same order: version header, credential, route, permission, body. Every answer
// from 400 up is an [api.Error], and every answer names its operation.
package rest
