package server

import (
	"context"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/catalog"
)

// named is a catalog whose repository has metadata.
type named struct{ Catalog }

func (named) Repository(context.Context, string) (catalog.Repository, error) {
	return catalog.Repository{ID: "lake", Metadata: map[string]string{".lakefs.last.import.timestamp": "1772600767"}}, nil
}

func TestMetadata(t *testing.T) {
	const target = "/api/v1/repositories/lake/metadata"
	for _, x := range []exchange{
		{"none", "GET", target, "", nil, 200, `{}`},
		{"set", "POST", target, `{"metadata":{"a":"b"}}`, nil, 204, ""},
		{"set, refused", "POST", target, `{"metadata":{"c":"d"}}`, nil, 400, `{"message":"metadata: [] map[c:d]"}`},
		{"set, no object", "POST", target, `{}`, nil, 400, `{"message":"request body has an error: metadata: value is required but missing"}`},
		{"set, no text", "POST", target, `{"metadata":{"a":1}}`, nil, 400, `{"message":"request body has an error: metadata.a: must be a string"}`},
		{"delete", "DELETE", target, `{"keys":["a","b"]}`, nil, 204, ""},
		{"delete, no keys", "DELETE", target, "", nil, 400, `{"message":"request body has an error: value is required but missing"}`},
		{"no repository", "GET", "/api/v1/repositories/pond/metadata", "", nil, 404, `{"message":"repository not found"}`},
		{"set, no repository", "POST", "/api/v1/repositories/pond/metadata", `{"metadata":{}}`, nil, 404, `{"message":"repository not found"}`},
		{"delete, no repository", "DELETE", "/api/v1/repositories/pond/metadata", `{"keys":[]}`, nil, 404, `{"message":"repository not found"}`},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, newFixture(t)) })
	}
	f := newFixture(t, func(c *Config) { c.Catalog = named{} })
	exchange{"some", "GET", target, "", nil, 200, `{".lakefs.last.import.timestamp":"1772600767"}`}.run(t, f)
}

func TestUnsupportedRepositories(t *testing.T) {
	const base = "/api/v1/repositories"
	body := func(field string) string { return `{"name":"pond","storage_namespace":"local:///p",` + field + `}` }
	const made = `{"creation_date":1772600767,"default_branch":"main","id":"pond","storage_namespace":"local:///p"}`
	for _, x := range []exchange{
		{"defaults", "POST", base + "?bare=false", body(`"storage_id":"","sample_data":false,"read_only":false`), nil, 201, made},
		{"bare", "POST", base + "?bare=true", body(`"read_only":false`), nil, 400, `{"message":"parameter \"bare\" in query has an error: true is not supported"}`},
		{"storage", "POST", base, body(`"storage_id":"x"`), nil, 400, `{"message":"request body has an error: storage_id: \"x\" is unknown: there is one storage, whose id is empty"}`},
		{"sample data", "POST", base, body(`"sample_data":true`), nil, 400, `{"message":"request body has an error: sample_data: true is not supported: import what the repository is to hold"}`},
		{"read-only", "POST", base, body(`"read_only":true`), nil, 400, `{"message":"request body has an error: read_only: true is not supported"}`},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, newFixture(t)) })
	}
}
