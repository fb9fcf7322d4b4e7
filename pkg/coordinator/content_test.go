package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// A tree may refer to anything. Objects are read only where the repository keeps its own, or
// where imports may read.
func TestContentIsReadWhereItMayBe(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	f.buckets["other"] = &memstore.Store{}
	f.repository("other", "s3://other/ns")
	allowed := func(text string) objectstore.URI {
		u, err := objectstore.ParseURI(text)
		expect.NoError(t, err)
		return u
	}
	for _, tc := range []struct {
		address    string
		any, under bool // whether it may be read if any source is allowed, or if only s3://bucket/dir/ is
	}{
		{"s3://bucket/dir/o", true, true},
		{"s3://bucket/dir2/o", true, false},
		{"s3://repo/ns/data/o", true, true},
		{"s3://repo/nsx", true, false},
		{"s3://other/ns/data/o", false, false},
		{"s3://other/x", true, false},
		{"s3://elsewhere/o", false, false},
		{"s3://bucket/", false, false},
		{"local:///etc/passwd", false, false},
		{"local:///ns/../etc/passwd", false, false},
		{"/etc/passwd", false, false},
		{"http://169.254.169.254/", false, false},
		{"", false, false},
		{"s3://bucket/dir/" + strings.Repeat("k", limits.Key), false, false},
	} {
		for sources, want := range map[string]bool{"": tc.any, "s3://bucket/dir/": tc.under} {
			if f.config.Allowed = nil; sources != "" {
				f.config.Allowed = []objectstore.URI{allowed(sources)}
			}
			s := f.service()
			_, err := s.Content(t.Context(), "repo", entry.Entry{Key: "k", Address: tc.address})
			if (err == nil) != want || err != nil && !fault.Is(err, fault.Forbidden) {
				t.Errorf("%q, allowed are %q: %v, want it to be read: %t", tc.address, sources, err, want)
			}
			s.close()
		}
	}
	s := f.service()
	t.Cleanup(s.close)
	if _, err := s.Content(t.Context(), "repo", entry.Entry{Key: "k", Address: "s3://bucket/o", Size: -1}); !errors.Is(err, table.ErrCorrupt) {
		t.Errorf("an entry of a negative size: %v", err)
	}
	if _, err := s.Content(t.Context(), "none", entry.Entry{Address: "s3://bucket/o"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("no repository: %v", err)
	}
}

// read returns the bytes of a content, and the error that ended them.
func read(ctx context.Context, c content, from, to int64) (all []byte, err error) {
	for part, err := range c.parts(ctx, from, to) {
		if err != nil {
			return all, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// An object of three parts is changed before each call of its store. What is read is the
// object of the entry, or the last part is missing and the error says why.
func TestChangedObjectsAreNoticed(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("0123456789"), limits.ContentPart/4)[:2*limits.ContentPart+7]
	other := bytes.Repeat([]byte("x"), len(want))
	for name, change := range map[string]func(s *memstore.Store) error{
		"removed": func(s *memstore.Store) error { s.Remove("o"); return nil },
		"shorter": func(s *memstore.Store) error { s.Add("o"); return nil },
		"longer": func(s *memstore.Store) error {
			return s.Put(context.Background(), "o", append(other, 'x'), objectstore.Sum{})
		},
		"replaced": func(s *memstore.Store) error {
			return s.Put(context.Background(), "o", other, objectstore.Sum{})
		},
	} {
		for at := 1; ; at++ {
			s := &memstore.Store{}
			expect.NoError(t, s.Put(t.Context(), "o", want, objectstore.Sum{}))
			o, err := s.Stat(t.Context(), "o")
			expect.NoError(t, err)
			calls := 0
			s.Hook = func(_ context.Context, c memstore.Call) error {
				if calls++; calls == at && c.Op != "put" {
					s.Hook = nil
					return change(s)
				}
				return nil
			}
			got, err := read(t.Context(), content{entry.Entry{Key: "o", ETag: o.ETag, Size: o.Size}, s, "o"}, 0, o.Size)
			if calls < at { // there are no more calls
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("unchanged: %d bytes, %v", len(got), err)
				}
				break
			}
			if !fault.Is(err, fault.Gone) || len(got) >= len(want) {
				t.Errorf("%s before call %d: %d bytes, %v", name, at, len(got), err)
			}
		}
	}
}

func TestEveryPartOfAnObjectCanBeRead(t *testing.T) {
	t.Parallel()
	s := &memstore.Store{}
	all := []byte(fmt.Sprint("0123456789", strings.Repeat("abc", limits.ContentPart)))
	expect.NoError(t, s.Put(t.Context(), "o", all, objectstore.Sum{}))
	expect.NoError(t, s.Put(t.Context(), "empty", nil, objectstore.Sum{}))
	size := int64(len(all))
	c := content{entry.Entry{Size: size}, s, "o"}
	for _, span := range [][2]int64{{0, size}, {0, 1}, {5, 5 + limits.ContentPart}, {size - 1, size}, {1, limits.ContentPart + 2}} {
		if got, err := read(t.Context(), c, span[0], span[1]); err != nil || !bytes.Equal(got, all[span[0]:span[1]]) {
			t.Errorf("%v: %d bytes, %v", span, len(got), err)
		}
	}
	if got, err := read(t.Context(), content{entry.Entry{}, s, "empty"}, 0, 0); err != nil || len(got) != 0 {
		t.Errorf("an empty object: %d bytes, %v", len(got), err)
	}
	if _, err := read(t.Context(), content{entry.Entry{}, s, "none"}, 0, 0); !fault.Is(err, fault.Gone) {
		t.Errorf("an empty object that is gone: %v", err)
	}
	refused := fmt.Errorf("AccessDenied: %w", objectstore.ErrRefused)
	s.Hook = func(context.Context, memstore.Call) error { return refused }
	if _, err := read(t.Context(), c, 0, 1); !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("a store that refuses: %v", err)
	}
}
