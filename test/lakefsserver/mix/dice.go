package mix

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
)

// dice choose the parts of requests.
type dice struct{ rng *rand.Rand }

func (d *dice) one(of ...string) string { return of[d.rng.IntN(len(of))] }

func (d *dice) chance(percent int) bool { return d.rng.IntN(100) < percent }

// oneOf returns what one of some functions returns.
func (d *dice) oneOf(of ...func() Request) Request { return of[d.rng.IntN(len(of))]() }

// Keys returns the keys that requests read and write. They are few, so that what is read has
// often been written.
func Keys() []string { return slices.Clone(keys) }

var keys = []string{
	"a", "a/", "a/b", "a//b", "a/b/c d", "é", "data/ü+ %2F", "x+y", "x%2Fy", "q?r=s&t", "#f", "s;t=u", "'(*)!~", `"<&>"`, "日本/語", "..", "a/../b", "./x", "last",
}

func (d *dice) key() string { return d.one(keys...) }

// escaped returns a key as different clients write it in a query or a path.
func (d *dice) escaped(key string) string {
	switch d.rng.IntN(3) {
	case 0:
		return strings.ReplaceAll(url.QueryEscape(key), "+", "%20")
	case 1:
		return url.PathEscape(key)
	}
	var b strings.Builder
	for _, c := range []byte(key) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

func (d *dice) branch() string { return d.one("main", "main", "main", "dev", "dev", "side", "none") }

func (d *dice) ref() string {
	if d.chance(70) {
		return d.branch()
	}
	return d.one("tag1", "tag2", "main~1", "main~99", "dev%5E1", "main@", "main$", "0123abcd", "%20", "a%2Fb")
}

func (d *dice) page() string {
	return d.one("", "?amount=1", "?amount=2&after="+d.escaped(d.key()), "?amount=0", "?amount=-1", "?amount=1000", "?amount=99999", "?amount=x", "?prefix=d", "?prefix={repo}")
}

// text returns content for an object.
func (d *dice) text() string {
	n := []int{0, 1, 10, 1000, 1000, 40_000, 300_000}[d.rng.IntN(7)]
	return strings.Repeat(d.one("a", "bc", "line\r\n", "\x00\xff"), n)
}

// pathOf returns a key as clients of S3 write it in a path, and sometimes as others do.
func (d *dice) pathOf(key string) string {
	odd := d.chance(20)
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
		if odd {
			parts[i] = d.escaped(p)
		}
	}
	return strings.Join(parts, "/")
}
