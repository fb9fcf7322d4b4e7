package worker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// TestAPoisonPartitionFailsItsImportAlone has a store refuse some keys for good. Their
// import fails; its error names the span, the place, the store's words, and what to do.
// Other imports of the same worker go on.
func TestAPoisonPartitionFailsItsImportAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		answer error
		want   []string
	}{
		"denied": {
			fmt.Errorf("list s3://bucket/ after \"dir/000767\": AccessDenied: explicit deny in a policy: %w", objectstore.ErrRefused),
			[]string{"AccessDenied: explicit deny in a policy", "let the workers' credentials list these keys"},
		},
		"bad": {
			fmt.Errorf("list s3://bucket/: key \"b\" follows key \"c\": %w", objectstore.ErrBadListing),
			[]string{`key "b" follows key "c"`, "cannot be relied upon"},
		},
		"a bad key": {
			fmt.Errorf("list s3://bucket/: key \"b\\xff\" is not valid UTF-8: %w", objectstore.ErrBadKey),
			[]string{"is not valid UTF-8", "rename the objects or leave them out"},
		},
		"another region": {
			fmt.Errorf("list s3://bucket/: the bucket is in region \"x\": set s3.region: %w", objectstore.ErrSettings),
			[]string{"set s3.region", "change the settings"},
		},
		"gone": {
			fmt.Errorf("list s3://bucket/: NoSuchBucket: %w", objectstore.ErrNotFound),
			[]string{"NoSuchBucket", "name paths and a storage namespace that exist"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			source, _ := numbered(t, 1000, small)
			source.PageSize = page
			source.Hook = func(_ context.Context, c memstore.Call) error {
				if c.Op == "page" && c.Key > "dir/000700" {
					return tc.answer
				}
				return nil
			}
			f := start(t, source)
			healthy, want := numbered(t, 300, small)
			f.buckets["healthy"] = healthy
			f.record("poisoned", small)
			f.recordOf("other", "healthy", small)
			poisoned := rangetest.Plan("poisoned", []string{"dir/000600"})
			f.publish(poisoned...)
			f.publish(whole("other"))
			f.run(1)
			f.run(1) // a refusal to one worker may be the worker's fault
			f.idle("poisoned")
			r, err := f.imports.Get(t.Context(), "poisoned")
			expect.NoError(t, err)
			for _, words := range append(tc.want, poisoned[1].Span.String(), `after key "dir/000`, "Nothing was committed", "start the import again") {
				if r.State != imports.Failed || !strings.Contains(r.Error, words) {
					t.Errorf("import is %s: %q\nwant failed, and %q in its error", r.State, r.Error, words)
				}
			}
			got, _ := f.covers("other")
			f.idle("other")
			if len(slices.Collect(got.All())) != len(want) {
				t.Errorf("the other import has %d ranges, want %d", got.Ranges, len(want))
			}
		})
	}
}

// TestAWorkerWithoutCredentialsFailsNoImport has a store refuse the credentials of one
// worker. Another worker does the work.
func TestAWorkerWithoutCredentialsFailsNoImport(t *testing.T) {
	source, want := numbered(t, 1000, small)
	f := start(t, source)
	f.record("id", small)
	locked := *f
	locked.buckets = memstore.Buckets{"bucket": {}, "repo": {}}
	refused := make(chan struct{}, 100)
	locked.buckets["bucket"].Hook = func(_ context.Context, c memstore.Call) error {
		refused <- struct{}{}
		return fmt.Errorf("%s: InvalidAccessKeyId: unknown key: %w", c.Op, objectstore.ErrRefused)
	}
	locked.run(1)
	f.publish(whole("id"))
	expect.Received(t, "a refusal", refused)
	f.run(1)
	got, _ := f.covers("id")
	f.idle("id")
	if n := len(slices.Collect(got.All())); n != len(want) {
		t.Errorf("%d ranges, want %d", n, len(want))
	}
	r, err := f.imports.Get(t.Context(), "id")
	expect.NoError(t, err)
	if r.State != imports.Running {
		t.Errorf("import is %s: %q", r.State, r.Error)
	}
}
