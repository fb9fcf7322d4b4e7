package metarange

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// ErrNotFound is Stat's answer to a key that the tree does not hold. It is a
// fault.NotFound; a range file that is missing is another error.
var ErrNotFound = fault.Missing("object")

// Tree reads the entries of one tree. It fetches range files as they are needed
// and keeps the one that was used last in memory. It may be used concurrently.
type Tree struct {
	files  Files
	ranges []partition.RangeMetadata

	mu      sync.Mutex
	id      string        // of the range in records
	records *table.Reader // the range file used last
}

// Open reads the metarange of the ID; see Read.
func Open(ctx context.Context, files Files, id string) (*Tree, error) {
	ranges, err := Read(ctx, files, id)
	if err != nil {
		return nil, err
	}
	return &Tree{files: files, ranges: ranges}, nil
}

// Entries yields the entries whose keys are greater than after, in key order;
// all of them if after is empty. An error is yielded last.
func (t *Tree) Entries(ctx context.Context, after string) iter.Seq2[entry.Entry, error] {
	return t.from(ctx, after+"\x00")
}

// Stat returns the entry of key, or ErrNotFound.
func (t *Tree) Stat(ctx context.Context, key string) (entry.Entry, error) {
	i := find(t.ranges, key)
	if i == len(t.ranges) || t.ranges[i].MinKey > key {
		return entry.Entry{}, ErrNotFound
	}
	for e, err := range t.from(ctx, key) {
		if err != nil {
			return entry.Entry{}, err
		}
		if e.Key == key {
			return e, nil
		}
		break
	}
	return entry.Entry{}, ErrNotFound
}

// Item is a line of a listing: an entry, or what entries have in common.
type Item struct {
	Entry        entry.Entry // the zero Entry if CommonPrefix is set
	CommonPrefix string      // prefix of the keys that stand behind the item, ending in the delimiter
}

// List returns the first items with the prefix, at most amount (at least 1) of
// them, and whether there are more. Keys in which the delimiter follows the
// prefix are one item for each part up to and including the delimiter; an empty
// delimiter stands for none. Only keys greater than after count, and the item
// after itself never does, so that the last item of one page is the after of
// the next. The cost is in proportion to the items: keys behind a common prefix
// are skipped unseen.
func (t *Tree) List(ctx context.Context, prefix, after, delimiter string, amount int) (items []Item, more bool, err error) {
	if amount < 1 {
		return nil, false, fmt.Errorf("list %d items: want at least 1", amount)
	}
	from, seek := start(prefix, after, delimiter)
	for seek {
		seek = false
		for e, err := range t.from(ctx, from) {
			if err != nil {
				return nil, false, err
			}
			if !strings.HasPrefix(e.Key, prefix) {
				break
			}
			if len(items) == amount {
				return items, true, nil
			}
			if dir := commonPrefix(e.Key, prefix, delimiter); dir != "" {
				items = append(items, Item{CommonPrefix: dir})
				from = successor(dir)
				seek = from != ""
				break
			}
			items = append(items, Item{Entry: e})
		}
	}
	return items, false, nil
}

// start returns where a listing looks for its first key, or that no key can be
// in it.
func start(prefix, after, delimiter string) (from string, ok bool) {
	if after == "" {
		return prefix, true
	}
	if commonPrefix(after, prefix, delimiter) == after {
		from = successor(after)
		return from, from != ""
	}
	return max(prefix, after+"\x00"), true
}

// commonPrefix returns key through the first delimiter after the prefix, or ""
// if the key does not have both.
func commonPrefix(key, prefix, delimiter string) string {
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok || delimiter == "" {
		return ""
	}
	i := strings.Index(rest, delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(prefix)+i+len(delimiter)]
}

// from yields the entries whose keys are not less than first, in key order.
func (t *Tree) from(ctx context.Context, first string) iter.Seq2[entry.Entry, error] {
	return func(yield func(entry.Entry, error) bool) {
		for _, r := range t.ranges[find(t.ranges, first):] {
			records, err := t.open(ctx, r)
			if err != nil {
				yield(entry.Entry{}, err)
				return
			}
			for e, err := range decoded(ctx, records, first) {
				if err != nil {
					yield(entry.Entry{}, fmt.Errorf("read range %s: %w", r.ID, err))
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// decoded yields the entries of a range whose keys are not less than first.
func decoded(ctx context.Context, records *table.Reader, first string) iter.Seq2[entry.Entry, error] {
	return func(yield func(entry.Entry, error) bool) {
		for rec, err := range records.From(ctx, first) {
			var e entry.Entry
			if err == nil {
				e, err = table.DecodeEntry(rec.Key, rec.Value)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// open returns the records of a range, from memory if it is the one used last.
func (t *Tree) open(ctx context.Context, r partition.RangeMetadata) (*table.Reader, error) {
	t.mu.Lock()
	records, ok := t.records, t.id == r.ID
	t.mu.Unlock()
	if ok {
		return records, nil
	}
	// Not under the lock: it would have every other reader wait for the store.
	records, err := openRange(ctx, t.files, r)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.id, t.records = r.ID, records
	return records, nil
}
