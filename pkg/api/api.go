// Package api is the HTTP contract as Go: the types of requests and answers and
// the interface of a server, generated from api/openapi.yaml.
//
// A field that the contract requires has no omitempty in its JSON tag; one that
// may be left out has.
package api

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen --config=../../api/codegen.yaml -o api.gen.go ../../api/openapi.yaml

// BaseURL is the path under which every operation lies.
const BaseURL = "/api/v1"
