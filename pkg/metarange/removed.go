package metarange

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Removed is the set of keys of a tree that an import replaces. The zero value is the
// empty set.
type Removed struct {
	Prefixes []string // directories, each "" (every key) or with a '/' at its end
	Keys     []string // exactly these keys
}

// interval is the keys in [from, to); an empty to is the open end.
type interval struct{ from, to string }

// removal is a set of keys as sorted intervals, no two of which overlap.
type removal []interval

// removal returns the keys as intervals. A prefix that is not a directory is an error:
// "data" would remove data2/x, too.
func (r Removed) removal() (removal, error) {
	var all removal
	for _, p := range r.Prefixes {
		if p != "" && !strings.HasSuffix(p, "/") {
			return nil, fmt.Errorf("remove keys below %q: want a prefix that ends in /", p)
		}
		all = append(all, interval{p, successor(p)})
	}
	for _, k := range r.Keys {
		all = append(all, interval{k, k + "\x00"})
	}
	slices.SortFunc(all, func(a, b interval) int { return strings.Compare(a.from, b.from) })

	var merged removal
	for _, iv := range all {
		if n := len(merged); n == 0 || merged[n-1].endsBefore(iv.from) {
			merged = append(merged, iv)
		} else if merged[n-1].endsBefore(iv.to) || iv.to == "" {
			merged[n-1].to = iv.to
		}
	}
	return merged, nil
}

// endsBefore reports whether key lies beyond the interval.
func (iv interval) endsBefore(key string) bool { return iv.to != "" && iv.to <= key }

// from returns the intervals that do not lie wholly before key.
func (m removal) from(key string) removal {
	return m[sort.Search(len(m), func(i int) bool { return !m[i].endsBefore(key) }):]
}

// takes reports whether key is removed. It drops the intervals that lie wholly before the
// key, so keys must not decrease from call to call.
func (m *removal) takes(key []byte) bool {
	for len(*m) > 0 && (*m)[0].to != "" && (*m)[0].to <= string(key) {
		*m = (*m)[1:]
	}
	return len(*m) > 0 && (*m)[0].from <= string(key)
}

// touches reports whether a key in [first, last] could be removed.
func (m removal) touches(first, last string) bool {
	rest := m.from(first)
	return len(rest) > 0 && rest[0].from <= last
}

// covers reports whether every key in [first, last] is removed.
func (m removal) covers(first, last string) bool {
	rest := m.from(first)
	return len(rest) > 0 && rest[0].from <= first && !rest[0].endsBefore(last)
}

// successor returns the least string that is greater than every string with the
// prefix, or "" if there is none.
func successor(prefix string) string {
	for n := len(prefix); n > 0; n-- {
		if c := prefix[n-1]; c < 0xff {
			return prefix[:n-1] + string([]byte{c + 1})
		}
	}
	return ""
}
