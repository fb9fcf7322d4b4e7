// Package api holds the Go types of the HTTP API, generated from api/openapi.yaml:
// requests and answers, and the interface of a server.
//
// A field that the contract requires has no omitempty in its JSON tag; one that
// may be left out has.
package api

import "time"

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen --config=../../api/codegen.yaml -o api.gen.go ../../api/openapi.yaml

// BaseURL is the path under which every operation lies.
const BaseURL = "/api/v1"

// AnswerWithin is how long a server takes to answer at most, unless it is asked to make
// a range or a metarange. A client that waits no longer is never told why it had to.
const AnswerWithin = time.Minute

// ImportErrorPrefix starts the error of every import that did not complete.
const ImportErrorPrefix = "import error: "
