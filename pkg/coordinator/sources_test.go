package coordinator

import (
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// Rules and the audit log must not be told of a source that was not understood.
func TestSourcesThatAreNotUnderstoodAreNone(t *testing.T) {
	for _, uri := range []string{"", "s3://", "s3://lake@other/", "ftp://host/x"} {
		if paths, err := SourceOf("source", uri, "to/"); !fault.Is(err, fault.Invalid) || len(paths) > 0 {
			t.Errorf("%q: %+v, %v", uri, paths, err)
		}
		if paths, err := SourcesOf([]imports.Path{{Type: imports.CommonPrefix, URI: "s3://good/"}, {Type: imports.CommonPrefix, URI: uri}}); !fault.Is(err, fault.Invalid) || len(paths) > 0 {
			t.Errorf("%q beside another one: %+v, %v", uri, paths, err)
		}
	}
}
