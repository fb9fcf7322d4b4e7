package imports_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// newest returns the IDs of the newest imports, at most n.
func newest(t *testing.T, s *imports.Store, after string, n int) (ids []string) {
	t.Helper()
	for r, err := range s.Newest(t.Context(), after) {
		expect.NoError(t, err)
		if ids = append(ids, r.Job.ImportID); len(ids) == n {
			break
		}
	}
	return ids
}

func TestNewest(t *testing.T) {
	buckets(t, func(t *testing.T, bucket kv.Bucket) {
		s := imports.NewStore(bucket)
		if got := newest(t, s, "", 9); len(got) != 0 {
			t.Errorf("of no imports: %q", got)
		}
		for _, id := range []string{"b", "d", "a", "c", "e"} {
			expect.NoError(t, s.Create(t.Context(), newRecord(id)))
		}
		spoil(t, bucket, "i.c", "no record")
		for _, c := range []struct {
			after string
			n     int
			want  []string
		}{
			{"", 9, []string{"e", "d", "b", "a"}},
			{"", 2, []string{"e", "d"}},
			{"d", 2, []string{"b", "a"}},
			{"cc", 1, []string{"b"}},
			{"a", 9, nil},
		} {
			if got := newest(t, s, c.after, c.n); !slices.Equal(got, c.want) {
				t.Errorf("%d after %q: %q, want %q", c.n, c.after, got, c.want)
			}
		}
	})
}

// An import that is deleted after the IDs were read is left out. An error ends the list.
func TestNewestWhileRecordsChange(t *testing.T) {
	bucket := new(kvtest.Memory)
	s := imports.NewStore(bucket)
	for _, id := range []string{"a", "b"} {
		expect.NoError(t, s.Create(t.Context(), newRecord(id)))
	}
	var got []string
	for r, err := range s.Newest(t.Context(), "") {
		expect.NoError(t, err)
		got = append(got, r.Job.ImportID)
		end(t, s, "a")
		expect.NoError(t, s.Delete(t.Context(), get(t, s, "a")))
	}
	if !slices.Equal(got, []string{"b"}) {
		t.Errorf("%q, want only b", got)
	}
	away := errors.New("no answer")
	failing := imports.NewStore(&hooks{Bucket: bucket, get: func(string) error { return away }})
	n := 0
	for _, err := range failing.Newest(t.Context(), "") {
		if n++; !errors.Is(err, away) {
			t.Errorf("error %v, want %v", err, away)
		}
	}
	if n != 1 {
		t.Errorf("%d errors, want one", n)
	}
}
