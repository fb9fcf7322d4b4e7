package worker_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// liar is a store that wrongly ends every page that starts within some keys, as
// MinIO does within some directories.
func liar(source *memstore.Store) *memstore.Store {
	source.PageSize = page
	source.EndsAfter = func(after string) bool { return after >= "dir/000400" && after < "dir/000600" }
	return source
}

// failed waits until the import has failed, and returns why.
func (f *fleet) failed(id string) string {
	f.t.Helper()
	var r imports.Record
	expect.Eventually(f.t, "the import fails", func() bool {
		var err error
		r, err = f.imports.Get(f.t.Context(), id)
		expect.NoError(f.t, err)
		return r.State.Ended()
	})
	if r.State != imports.Failed {
		f.t.Fatalf("the import is %s, want failed", r.State)
	}
	return r.Error
}

// A resumed partition does not count as ended because the store shows nothing after its
// last cover.
func TestAResumedPartitionChecksItsStart(t *testing.T) {
	source, want := numbered(t, 1000, small)
	f := start(t, liar(source))
	f.record("id", small)
	p := whole("id")
	within := slices.IndexFunc(want, func(r partition.RangeMetadata) bool { return r.MaxKey > "dir/000450" })
	after := f.cover(p, want[:within+1])
	f.publish(p)
	f.run(1)
	if why := f.failed("id"); !strings.Contains(why, after) || !strings.Contains(why, "s3.listing: walk") {
		t.Errorf("the import failed with %q, want the key %q and the setting", why, after)
	}
}

// startGap starts a fleet for an import with a gap of four ranges.
func startGap(t *testing.T) (f *fleet, source *memstore.Store, gap partition.Span) {
	t.Helper()
	source, want := numbered(t, 1000, small)
	source.PageSize = page
	i := slices.IndexFunc(want, func(r partition.RangeMetadata) bool { return r.MaxKey > "dir/000300" })
	return start(t, source), source, partition.Span{After: want[i-1].MaxKey, Upto: want[i+3].MaxKey}
}

// runGap has a worker list a gap, and returns its partition.
func (f *fleet) runGap(gap partition.Span) partition.Partition {
	f.t.Helper()
	f.record("id", small)
	p := partition.New("id", gap, true, true)
	f.publish(p)
	f.run(1)
	return p
}

// A gap ends at a key that the store had. If a listing ends before that key, the key
// contradicts it; if the key is gone, nothing is left in the gap.
func TestAPartitionThatEndsAtABoundaryChecksItsEnd(t *testing.T) {
	for name, gone := range map[string]bool{"a store that lies": false, "keys that were removed": true} {
		t.Run(name, func(t *testing.T) {
			f, source, gap := startGap(t)
			if gone {
				all := source.Keys("")
				source.Remove(all[slices.Index(all, gap.After)+1:]...)
			} else {
				source.EndsAfter = func(after string) bool { return after >= gap.After && after < gap.Upto }
			}
			p := f.runGap(gap)
			if !gone {
				if why := f.failed("id"); !strings.Contains(why, gap.Upto) || !strings.Contains(why, "s3.listing: walk") {
					t.Errorf("the import failed with %q, want the key %q and the setting", why, gap.Upto)
				}
				return
			}
			f.idle("id")
			last, found, err := f.backend.Covers.Last(t.Context(), "id", p.ID)
			if expect.NoError(t, err); !found || last.Upto != gap.Upto || last.Range != nil {
				t.Errorf("the last cover is %+v, want one that holds nothing up to %q", last, gap.Upto)
			}
		})
	}
}

// If a listing ends early in a partition that does not reach the open end, its claim of the
// end says which keys others list.
func TestACutPartitionClaimsNoMoreThanItLists(t *testing.T) {
	source, want := numbered(t, 100, partition.Breaks{MaxSize: small.MaxSize, Raggedness: 1 << 40})
	source.PageSize = page
	f := start(t, source)
	f.record("id", partition.Breaks{MaxSize: small.MaxSize, Raggedness: 1 << 40})
	parts := rangetest.Plan("id", []string{"dir/000050"})
	f.publish(parts...)
	f.run(1)
	fold, _ := f.covers("id")
	if fold.Beyond != "dir/000050" || !slices.Equal(slices.Collect(fold.All()), want) {
		t.Errorf("a partition claims the end, and leaves to others the keys beyond %q; ranges %v, want %v", fold.Beyond, slices.Collect(fold.All()), want)
	}
}

// A key at a seam may be removed, and written again while the store is asked for it. Then
// it contradicts no listing.
func TestAKeyThatComesBackAtASeamContradictsNothing(t *testing.T) {
	for _, at := range []string{"start", "end"} {
		t.Run(at, func(t *testing.T) {
			f, source, gap := startGap(t)
			key := gap.After
			if at == "end" {
				key = gap.Upto
				all := source.Keys("")
				source.Remove(all[slices.Index(all, key)+1:]...)
			}
			source.Remove(key)
			source.Hook = func(_ context.Context, c memstore.Call) error {
				if c.Op == "stat" && c.Key == key {
					source.Add(key)
				}
				return nil
			}
			p := f.runGap(gap)
			f.idle("id")
			r, err := f.imports.Get(t.Context(), "id")
			if expect.NoError(t, err); r.State != imports.Running {
				t.Fatalf("the import is %s: %s", r.State, r.Error)
			}
			last, found, err := f.backend.Covers.Last(t.Context(), "id", p.ID)
			if expect.NoError(t, err); !found || last.Upto != gap.Upto {
				t.Errorf("the last cover is %+v, want one up to %q", last, gap.Upto)
			}
		})
	}
}
