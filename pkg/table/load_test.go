package table_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// noisy is a file of which bytes go wrong on their way.
type noisy struct {
	table.Bytes
	damage func(offset int64, section []byte) []byte
}

func (f noisy) Section(ctx context.Context, offset, n int64) ([]byte, error) {
	b, err := f.Bytes.Section(ctx, offset, n)
	return f.damage(offset, b), err
}

func (noisy) Renew(int64, int64) bool { return true }

// What is damaged on its way is read again. If it comes damaged in the same way
// again, it is corrupt; if it never comes twice, nobody knows.
func TestDamageOnTheWay(t *testing.T) {
	rng := seeded.Rand(t)
	all := numbered(300)
	tab := tableOf(t, table.Ranges, all...)
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		return b
	}
	for name, tc := range map[string]struct {
		damage         func(offset int64, section []byte) []byte
		right, corrupt bool
	}{
		"never":        {func(_ int64, b []byte) []byte { return b }, true, false},
		"first":        {first(flip), true, false},
		"another each": {every(flip), false, false},
		"the same":     {func(_ int64, b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }, false, true},
	} {
		got, err := allOf(t.Context(), noisy{tab.Data, tc.damage}, tab.Meta.ID)
		if (err == nil) != tc.right || errors.Is(err, table.ErrCorrupt) != tc.corrupt {
			t.Errorf("damaged %s: error %v", name, err)
		}
		if err == nil && !slices.EqualFunc(got, all, sameRecord) {
			t.Errorf("damaged %s: read %d records", name, len(got))
		}
		_, err = table.Load(t.Context(), tab.Meta.ID, func(context.Context) ([]byte, error) { return tc.damage(0, tab.Data), nil })
		if (err == nil) != tc.right || errors.Is(err, table.ErrCorrupt) != tc.corrupt {
			t.Errorf("loaded whole, damaged %s: error %v", name, err)
		}
	}
}

// A footer has no checksum. If it is damaged on its way, it may lead to bytes that are no
// block, and that are damaged on their way, too.
func TestADamagedFooterIsReadAgain(t *testing.T) {
	rng := seeded.Rand(t)
	all := numbered(300)
	tab := tableOf(t, table.Ranges, all...)
	known := map[int64]bool{} // offsets that the right footer leads to
	if _, err := allOf(t.Context(), noisy{tab.Data, func(offset int64, b []byte) []byte {
		known[offset] = true
		return b
	}}, tab.Meta.ID); err != nil {
		t.Fatal(err)
	}
	const footer = 53 // bytes
	for bit := range footer * 8 {
		elsewhere := every(func(b []byte) []byte {
			b = bytes.Clone(b)
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			return b
		})
		footers := 0
		damage := func(offset int64, b []byte) []byte {
			if offset == int64(len(tab.Data))-footer {
				if footers++; footers == 1 {
					b = bytes.Clone(b)
					b[bit/8] ^= 1 << (bit % 8)
				}
				return b
			}
			if known[offset] {
				return b
			}
			return elsewhere(offset, b)
		}
		got, err := allOf(t.Context(), noisy{tab.Data, damage}, tab.Meta.ID)
		if err != nil || !slices.EqualFunc(got, all, sameRecord) {
			t.Errorf("bit %d of the footer: read %d records, error %v", bit, len(got), err)
		}
	}
}

// first damages a section by f when it is read first, and in each second read after that.
func first(f func([]byte) []byte) func(int64, []byte) []byte {
	turns := map[int64]int{}
	return func(offset int64, b []byte) []byte {
		if turns[offset]++; turns[offset]%2 == 1 {
			return f(b)
		}
		return b
	}
}

// every damages each section by f, and differently from what it returned before.
func every(f func([]byte) []byte) func(int64, []byte) []byte {
	seen := map[string]bool{}
	return func(_ int64, b []byte) []byte {
		for {
			got := f(b)
			if !seen[string(got)] {
				seen[string(got)] = true
				return got
			}
		}
	}
}

func allOf(ctx context.Context, f table.File, id string) (all []table.Record, err error) {
	r, err := table.Open(ctx, f)
	if err != nil {
		return nil, err
	}
	for rec, err := range r.All(ctx, id) {
		if err != nil {
			return nil, err
		}
		all = append(all, table.Record{Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value)})
	}
	return all, nil
}

// Errors of the file, and of the context, are not those of its content.
func TestErrorsOfTheFileArePassedOn(t *testing.T) {
	tab := tableOf(t, table.Ranges, numbered(300)...)
	away := errors.New("the store is away")
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		left := rng.IntN(12)
		f := failing{tab.Data, &left, away}
		if _, err := allOf(t.Context(), f, tab.Meta.ID); left < 0 && (!errors.Is(err, away) || errors.Is(err, table.ErrCorrupt)) {
			t.Errorf("error %v, want the file's own", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := allOf(ctx, table.Bytes(tab.Data), tab.Meta.ID); !errors.Is(err, context.Canceled) || errors.Is(err, table.ErrCorrupt) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// failing is a file of which some sections can be read, and then none.
type failing struct {
	table.Bytes
	left *int
	err  error
}

func (f failing) Section(ctx context.Context, offset, n int64) ([]byte, error) {
	if *f.left--; *f.left < 0 {
		return nil, f.err
	}
	return f.Bytes.Section(ctx, offset, n)
}
