// Package liar is a fake bucket in memory that answers some LISTs wrongly, as some real
// stores do.
package liar

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Lie is a wrong answer to a LIST that starts after a key.
type Lie string

// The lies. Only RepeatsKeys affects walks, and it affects nothing else.
const (
	EndsEarly    Lie = "ends early"       // no keys, and the claim that none follow
	DeniesMore   Lie = "denies more"      // the right keys, and the claim that none follow
	SkipsKey     Lie = "skips a key"      // without the first key, if the start is not a key
	IgnoresStart Lie = "ignores starts"   // the first keys of the bucket
	Includes     Lie = "includes a start" // begins with the start, if it is a key
	RepeatsKeys  Lie = "repeats keys"     // begins with the last key of the page before
)

// Lies holds all lies.
var Lies = []Lie{EndsEarly, DeniesMore, SkipsKey, IgnoresStart, Includes, RepeatsKeys}

// Store lies if a LIST starts within (From, To]. Methods may be called concurrently.
type Store struct {
	Keys     []string // sorted
	PageSize int
	Lie      Lie
	From, To string
}

var _ objectstore.Pager = (*Store)(nil)

// ListPage implements objectstore.Pager.
func (s *Store) ListPage(_ context.Context, prefix, after string, take func([]objectstore.Listed)) (more bool, err error) {
	start, keys := after, s.under(prefix)
	lo := sort.SearchStrings(keys, start)
	exists := lo < len(keys) && keys[lo] == start
	if exists {
		lo++
	}
	hi := min(lo+s.PageSize, len(keys))
	more = hi < len(keys)
	if after > s.From && after <= s.To {
		switch s.Lie {
		case EndsEarly:
			lo, hi, more = 0, 0, false
		case DeniesMore:
			more = false
		case SkipsKey:
			if !exists {
				lo = min(lo+1, hi)
			}
		case IgnoresStart:
			lo, hi = 0, min(s.PageSize, len(keys))
		case Includes:
			if exists {
				lo--
			}
		case RepeatsKeys: // of walks
		}
	}
	show(keys[lo:hi], take)
	return more, nil
}

// WalkPage implements objectstore.Pager. A token is the number of keys on earlier pages.
func (s *Store) WalkPage(_ context.Context, prefix, token string, take func([]objectstore.Listed)) (next string, err error) {
	keys, from := s.under(prefix), 0
	if token != "" {
		if from, err = strconv.Atoi(token); err != nil {
			return "", fmt.Errorf("token %q: %w", token, objectstore.ErrRefused)
		}
	}
	to := min(from+s.PageSize, len(keys))
	if s.Lie == RepeatsKeys && from > 0 {
		from--
	}
	show(keys[from:to], take)
	if to == len(keys) {
		return "", nil
	}
	return strconv.Itoa(to), nil
}

func (s *Store) under(prefix string) []string {
	lo := sort.SearchStrings(s.Keys, prefix)
	n := sort.Search(len(s.Keys)-lo, func(i int) bool { return !strings.HasPrefix(s.Keys[lo+i], prefix) })
	return s.Keys[lo : lo+n]
}

func show(keys []string, take func([]objectstore.Listed)) {
	if len(keys) == 0 {
		return
	}
	page := make([]objectstore.Listed, len(keys))
	for i, key := range keys {
		page[i] = Object(key).Listed()
	}
	take(page)
}

// Object returns the object with the key.
func Object(key string) objectstore.Object {
	return objectstore.Object{Key: key, ETag: "e", Size: int64(len(key)), ModTime: time.Unix(1_700_000_000, 0).UTC()}
}

// List implements objectstore.Store with the pages of ListPage.
func (s *Store) List(ctx context.Context, prefix, after string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		for more := true; more; {
			var page []objectstore.Listed
			var err error
			if more, err = s.ListPage(ctx, prefix, after, func(p []objectstore.Listed) { page = p }); err != nil {
				yield(nil, err)
				return
			}
			if len(page) == 0 || !yield(page, nil) {
				return
			}
			after = string(page[len(page)-1].Key)
		}
	}
}

// Stat implements objectstore.Store, without lies.
func (s *Store) Stat(_ context.Context, key string) (objectstore.Object, error) {
	if _, ok := slices.BinarySearch(s.Keys, key); !ok {
		return objectstore.Object{}, fmt.Errorf("stat %q: %w", key, objectstore.ErrNotFound)
	}
	return Object(key), nil
}

// Get implements objectstore.Store. Objects have no content.
func (*Store) Get(context.Context, string, int64) ([]byte, error) { return nil, errors.ErrUnsupported }

// GetRange implements objectstore.Store. Objects have no content.
func (*Store) GetRange(context.Context, string, int64, int64) ([]byte, int64, error) {
	return nil, 0, errors.ErrUnsupported
}

// Put implements objectstore.Store. Objects have no content.
func (*Store) Put(context.Context, string, []byte, objectstore.Sum) error {
	return errors.ErrUnsupported
}
