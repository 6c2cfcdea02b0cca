// Package endpoint holds the values that name an endpoint: scheme, host, port and binding.
//
// A [URL] is what a person writes ("app.example.com", "tcp://h:22", "") turned into a comparable value:
// lower case, international names as punycode, no trailing dot. Parsing follows endpoints.md 3; each
// refusal is a *fault.Error with the code an agent shows. What depends on a server's configuration
// (base domains, advertised ports, reserved names) is not judged here.
//
// All types are plain values and all functions are pure, except [RandomLabel]; everything is safe for
// concurrent use.
package endpoint
