package catalog

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

func wantMetadata(t *testing.T, c *Catalog, what string, want map[string]string) {
	t.Helper()
	r, err := c.Repository(t.Context(), "repo")
	if err != nil || !maps.Equal(r.Metadata, want) {
		t.Errorf("%s: %q, %v, want %q", what, r.Metadata, err, want)
	}
}

func TestEditMetadata(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		for _, edit := range []struct {
			remove []string
			add    map[string]string
			want   map[string]string
		}{
			{[]string{"none"}, nil, nil},
			{nil, map[string]string{"a": "1", "b": "2"}, map[string]string{"a": "1", "b": "2"}},
			{[]string{"a"}, map[string]string{"b": "3", "c": "4"}, map[string]string{"b": "3", "c": "4"}},
			{[]string{"b", "b"}, map[string]string{"b": "5"}, map[string]string{"b": "5", "c": "4"}},
			{[]string{"b", "c"}, nil, nil},
		} {
			if err := c.EditMetadata(ctx, "repo", edit.remove, edit.add); err != nil {
				t.Fatal(err)
			}
			wantMetadata(t, c, fmt.Sprint(edit), edit.want)
		}
		wantFault(t, "no repository", c.EditMetadata(ctx, "none", nil, nil), fault.NotFound, "repository not found")
	})
}

func TestMetadataIsBounded(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		most := map[string]string{"k": strings.Repeat("v", limits.Metadata-1)}
		if err := c.EditMetadata(ctx, "repo", nil, most); err != nil {
			t.Fatal(err)
		}
		wantFault(t, "one more", c.EditMetadata(ctx, "repo", nil, map[string]string{"l": ""}), fault.Invalid, "at most")
		wantMetadata(t, c, "one more", most)
		if err := c.SetMetadata(ctx, "repo", map[string]string{"import": "now"}); err != nil { // an import must not fail
			t.Fatal(err)
		}
		if err := c.EditMetadata(ctx, "repo", []string{"none"}, nil); err != nil {
			t.Errorf("a removal: %v", err)
		}
		if err := c.EditMetadata(ctx, "repo", []string{"k"}, map[string]string{"l": ""}); err != nil {
			t.Error(err)
		}
		wantMetadata(t, c, "after a removal", map[string]string{"import": "now", "l": ""})
	})
}

func TestConcurrentEditsOfMetadata(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		create(t, c, "repo")
		want := map[string]string{}
		var wg sync.WaitGroup
		for i := range 4 {
			name := fmt.Sprint(i)
			want[name] = "v"
			wg.Go(func() {
				if err := c.EditMetadata(t.Context(), "repo", nil, map[string]string{name: "v"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		wantMetadata(t, c, "all", want)
	})
}
