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
	damage func(section []byte) []byte
}

func (f noisy) Section(ctx context.Context, offset, n int64) ([]byte, error) {
	b, err := f.Bytes.Section(ctx, offset, n)
	return f.damage(b), err
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
	turn := 0
	for name, tc := range map[string]struct {
		damage         func([]byte) []byte
		right, corrupt bool
	}{
		"never": {func(b []byte) []byte { return b }, true, false},
		"first": {func(b []byte) []byte {
			if turn++; turn%2 == 1 {
				return flip(b)
			}
			return b
		}, true, false},
		"another each": {every(flip), false, false},
		"the same":     {func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }, false, true},
	} {
		got, err := allOf(t.Context(), noisy{tab.Data, tc.damage}, tab.Meta.ID)
		if (err == nil) != tc.right || errors.Is(err, table.ErrCorrupt) != tc.corrupt {
			t.Errorf("damaged %s: error %v", name, err)
		}
		if err == nil && !slices.EqualFunc(got, all, sameRecord) {
			t.Errorf("damaged %s: read %d records", name, len(got))
		}
		_, err = table.Load(t.Context(), tab.Meta.ID, func(context.Context) ([]byte, error) { return tc.damage(tab.Data), nil })
		if (err == nil) != tc.right || errors.Is(err, table.ErrCorrupt) != tc.corrupt {
			t.Errorf("loaded whole, damaged %s: error %v", name, err)
		}
	}
}

// every returns f, less what it returned before.
func every(f func([]byte) []byte) func([]byte) []byte {
	seen := map[string]bool{}
	return func(b []byte) []byte {
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
