// Package entrytest makes entries for property tests.
package entrytest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
)

// pieces are the parts of awkward keys. Such keys are often prefixes of one another, or
// differ in bytes around '/'.
var pieces = []string{
	"/", "/", "a", "b", "data/", "year=2024/", "0", "!", " ", "+", "%3A", "&<>\"'", "..", "//", "\\",
	"\x00", "\x01", "\x7f", "é", "ключ", "\U0001F600", "\U0010FFFF", "\uFFFD", strings.Repeat("long", 60),
}

// Random returns n entries with strictly increasing, awkward keys of up to 1,000 bytes.
func Random(rng *rand.Rand, n int) []entry.Entry {
	keys := map[string]bool{}
	for len(keys) < n {
		if k := key(rng); len(k) <= 1000 {
			keys[k] = true
		}
	}
	var all []entry.Entry
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		all = append(all, entry.Entry{
			Key:     k,
			Address: "s3://bucket/" + k,
			ETag:    etag(rng),
			Size:    rng.Int64() >> rng.IntN(64),
			ModTime: modTime(rng),
		})
	}
	return all
}

func key(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(7) {
		b.WriteString(pieces[rng.IntN(len(pieces))])
	}
	return b.String()
}

// etag returns the ETag of an upload in one part or in many, or "".
func etag(rng *rand.Rand) string {
	switch hash := fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64()); rng.IntN(8) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%s-%d", hash, 1+rng.IntN(10_000))
	default:
		return hash
	}
}

// modTime returns a time in seconds, milliseconds or nanoseconds around now, sometimes the
// Unix epoch or a time before it.
func modTime(rng *rand.Rand) time.Time {
	ns := 1_500_000_000_000_000_000 + rng.Int64N(300_000_000_000_000_000)
	switch rng.IntN(8) {
	case 0:
		return time.Unix(0, 0).UTC()
	case 1:
		return time.Unix(0, -ns).UTC()
	case 2:
		return time.Unix(0, ns).UTC()
	case 3:
		return time.Unix(0, ns).Truncate(time.Millisecond).UTC()
	default:
		return time.Unix(0, ns).Truncate(time.Second).UTC()
	}
}
