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

// errNotFound is Stat's error for a key that the tree does not hold. It is a
// fault.NotFound. A missing range file is another error.
var errNotFound = fault.Missing("object")

// Tree reads the entries of one tree. It reads only the sections of files that it needs.
// It may be used concurrently.
type Tree struct {
	files  Opener
	base   string
	id     string
	ranges *table.Reader // the metarange; nil if the tree holds nothing

	mu      sync.Mutex
	used    partition.RangeMetadata // the range used last; no ID if there is none
	records *table.Reader           // of that range
}

// Open returns the tree of the metarange with an ID; see Read. Errors name the ID. Base is the
// URI of the storage namespace with a slash at its end: it precedes addresses that are relative
// to the namespace, as those of objects that were written through lakeFS are.
func Open(ctx context.Context, files Opener, base, id string) (*Tree, error) {
	t := &Tree{files: files, base: base, id: id}
	if id == "" {
		return t, nil
	}
	var err error
	if t.ranges, err = openTable(ctx, files, id, table.Metaranges); err != nil {
		return nil, fmt.Errorf("read metarange %s: %w", id, err)
	}
	return t, nil
}

// Entries yields the entries whose keys are greater than after, in key order;
// all of them if after is empty. An error is yielded last.
func (t *Tree) Entries(ctx context.Context, after string) iter.Seq2[entry.Entry, error] {
	return t.from(ctx, after+"\x00")
}

// Under yields the entries with the prefix whose keys are greater than after, in key order;
// all with the prefix if after is empty. An error is yielded last.
func (t *Tree) Under(ctx context.Context, prefix, after string) iter.Seq2[entry.Entry, error] {
	return func(yield func(entry.Entry, error) bool) {
		from, _ := start(prefix, after, "")
		for e, err := range t.from(ctx, from) {
			if err == nil && !strings.HasPrefix(e.Key, prefix) {
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Stat returns the entry of key, or a fault.NotFound.
func (t *Tree) Stat(ctx context.Context, key string) (entry.Entry, error) {
	for r, err := range t.rangesFrom(ctx, key) {
		if err != nil {
			return entry.Entry{}, err
		}
		if r.MinKey > key {
			break
		}
		for e, err := range t.entries(ctx, r, key) {
			if err != nil || e.Key == key {
				return e, err
			}
			break
		}
		break
	}
	return entry.Entry{}, errNotFound
}

// Item is one item of a listing: an entry, or the common prefix of several entries.
type Item struct {
	Entry        entry.Entry // the zero Entry if CommonPrefix is set
	CommonPrefix string      // ends with the delimiter
}

// List returns the first items with the prefix, at most amount (at least 1) of
// them, and whether there are more. Keys that contain the delimiter behind the prefix are
// grouped: all keys with the same text up to and including the first such delimiter are
// one item. An empty delimiter groups no keys. Only items after the key, or the common
// prefix, after are returned, so that the last item of one page is the after of the next.
// The cost is proportional to the items: keys with a common prefix are not read.
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

// start returns where a listing looks for its first key; ok is false if it cannot have
// any key.
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

// commonPrefix returns the part of key that ends with the first delimiter after the
// prefix, or "" if the key does not have both.
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

// from yields the entries whose keys are not less than first, in key order. An error is
// yielded last.
func (t *Tree) from(ctx context.Context, first string) iter.Seq2[entry.Entry, error] {
	return func(yield func(entry.Entry, error) bool) {
		for r, err := range t.rangesFrom(ctx, first) {
			if err != nil {
				yield(entry.Entry{}, err)
				return
			}
			for e, err := range t.entries(ctx, r, first) {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// rangesFrom yields the ranges that do not end before first.
func (t *Tree) rangesFrom(ctx context.Context, first string) Ranges {
	if t.ranges == nil {
		return List(nil)
	}
	return func(yield func(partition.RangeMetadata, error) bool) {
		first := first
		if r, ok := t.usedAt(first); ok {
			if !yield(r, nil) {
				return
			}
			first = r.MaxKey + "\x00"
		}
		decodedRanges(t.id, t.ranges.From(ctx, first))(yield)
	}
}

// usedAt returns the range used last if the key lies within it, as it mostly does when a
// listing goes from one common prefix to the next.
func (t *Tree) usedAt(key string) (partition.RangeMetadata, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.used, t.used.ID != "" && t.used.MinKey <= key && key <= t.used.MaxKey
}

// entries yields the entries of a range whose keys are not less than first, as from does.
func (t *Tree) entries(ctx context.Context, r partition.RangeMetadata, first string) iter.Seq2[entry.Entry, error] {
	return func(yield func(entry.Entry, error) bool) {
		records, err := t.open(ctx, r)
		if err != nil {
			yield(entry.Entry{}, fmt.Errorf("read range %s: %w", r.ID, err))
			return
		}
		for rec, err := range records.From(ctx, first) {
			var e entry.Entry
			if err == nil {
				e, err = decodeEntry(rec, r, t.base)
			}
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

// decodeEntry returns the entry that a record of a range holds.
func decodeEntry(rec table.Record, r partition.RangeMetadata, base string) (entry.Entry, error) {
	e, err := table.DecodeEntry(rec.Key, rec.Value, base)
	if err == nil && (e.Key < r.MinKey || e.Key > r.MaxKey) {
		err = fmt.Errorf("%w: it holds %q, which is not from %q to %q", table.ErrCorrupt, e.Key, r.MinKey, r.MaxKey)
	}
	return e, err
}

// open returns the records of a range, which stays open if it is the one used last.
func (t *Tree) open(ctx context.Context, r partition.RangeMetadata) (*table.Reader, error) {
	t.mu.Lock()
	records, ok := t.records, t.used == r
	t.mu.Unlock()
	if ok {
		return records, nil
	}
	// Not under the lock: every other reader would wait for the store.
	records, err := openTable(ctx, t.files, r.ID, table.Ranges)
	if err == nil {
		err = checkRange(records, r)
	}
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used, t.records = r, records
	return records, nil
}
