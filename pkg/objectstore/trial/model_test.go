package trial_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// model is a store in memory whose answers may be wrong.
type model struct {
	keys []string // sorted
	size int      // keys of a full page

	// answer, if not nil, changes the answer to a LIST after a start. It is given
	// all keys that follow.
	answer func(size int, after string, following []string) (page []string, more bool)
	// walked, if not nil, changes a page of a walk.
	walked func(page []string) []string
	// hook, if not nil, is called before each call with the number of calls before.
	hook  func(ctx context.Context, calls int) error
	calls int
}

func newModel(size int, keys ...string) *model {
	return &model{keys: slices.Sorted(slices.Values(keys)), size: size}
}

func (m *model) call(ctx context.Context) error {
	n := m.calls
	m.calls++
	if m.hook != nil {
		if err := m.hook(ctx, n); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m *model) following(prefix, after string) []string {
	var keys []string
	for _, k := range m.keys[sort.Search(len(m.keys), func(i int) bool { return m.keys[i] > after }):] {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	return keys
}

// ListAfter implements trial.Pages.
func (m *model) ListAfter(ctx context.Context, prefix, after string, keys int, take func([]objectstore.Listed)) (bool, error) {
	if err := m.call(ctx); err != nil {
		return false, err
	}
	size := cmp.Or(keys, m.size)
	page, more := truly(size, after, m.following(prefix, after))
	if m.answer != nil {
		page, more = m.answer(size, after, m.following(prefix, after))
	}
	if !slices.IsSorted(page) {
		return false, fmt.Errorf("list %q after %q: out of order: %w", prefix, after, objectstore.ErrBadListing)
	}
	take(listed(page))
	return more, nil
}

// WalkPage implements trial.Pages. A token is the number of keys before its page.
func (m *model) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (string, error) {
	if err := m.call(ctx); err != nil {
		return "", err
	}
	keys, from := m.following(prefix, ""), 0
	if token != "" {
		from, _ = strconv.Atoi(token)
	}
	end := min(len(keys), from+m.size)
	page := keys[from:end]
	if m.walked != nil {
		page = m.walked(page)
	}
	take(listed(page))
	if end == len(keys) {
		return "", nil
	}
	return strconv.Itoa(end), nil
}

// truly is the answer of a correct store.
func truly(size int, _ string, following []string) ([]string, bool) {
	n := min(size, len(following))
	return following[:n], n < len(following)
}

func listed(keys []string) []objectstore.Listed {
	var page []objectstore.Listed
	for _, k := range keys {
		page = append(page, objectstore.Listed{Key: []byte(k)})
	}
	return page
}

// tree returns keys in directories with siblings around them.
func tree(siblings int) []string {
	var keys []string
	for i := range siblings {
		keys = append(keys, fmt.Sprintf("events-archive/%04d", i), fmt.Sprintf("events/%04d", i))
	}
	for i := range 50 {
		keys = append(keys, fmt.Sprintf("logs/%d/host%d/é", i%3, i), fmt.Sprintf("users/%03d", i))
	}
	return keys
}
