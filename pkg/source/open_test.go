package source_test

import (
	"fmt"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/source"
)

func TestOpenAtOnce(t *testing.T) {
	prefix := func(uri, destination string) imports.Path {
		return imports.Path{Type: imports.CommonPrefix, URI: uri, Destination: destination}
	}
	object := func(destination string) imports.Path {
		return imports.Path{Type: imports.Object, URI: "s3://b/o", Destination: destination}
	}
	var same, apart []imports.Path
	for i := range 1000 {
		same = append(same, prefix(fmt.Sprintf("s3://b/%d/", i), "d/"))
		apart = append(apart, prefix("s3://b/x/", fmt.Sprintf("d%04d/", i)))
	}
	for name, tc := range map[string]struct {
		paths []imports.Path
		want  int
	}{
		"none":                    {nil, 0},
		"one":                     {same[:1], 1},
		"one destination":         {same, 1000},
		"destinations apart":      {apart, 1},
		"one above all":           {append(apart[:999:999], prefix("s3://b/", "")), 2},
		"nested":                  {[]imports.Path{prefix("s3://b/", ""), prefix("s3://b/", "a"), prefix("s3://b/", "a/b"), prefix("s3://b/", "a/c")}, 3},
		"parts of names":          {[]imports.Path{prefix("s3://b/x", "a"), prefix("s3://b/xy", "a"), prefix("s3://b/z", "a")}, 2},
		"objects are one listing": {[]imports.Path{object("a"), object("b"), object("z")}, 1},
		"layers of objects":       {[]imports.Path{object("a"), object("z"), prefix("s3://b/", "m"), object("b"), object("y")}, 3},
		"layers apart":            {[]imports.Path{object("a"), object("b"), prefix("s3://b/", "m"), object("y")}, 1},
	} {
		if got, err := source.OpenAtOnce(tc.paths); err != nil || got != tc.want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, tc.want)
		}
	}
	if _, err := source.OpenAtOnce([]imports.Path{prefix("nowhere", "")}); err == nil {
		t.Error("an invalid path is counted")
	}
}
