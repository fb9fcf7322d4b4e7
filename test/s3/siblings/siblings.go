// Package siblings makes sets of keys that show whether a store sorts by whole keys or by
// directory names. Such a set has a directory X/ and siblings: keys that begin with X and
// go on with a character that sorts near '/'. In bytewise order most siblings lie between
// X and X/, where stores that keep a directory as a name X, or list one directory at a
// time, have been seen to lose keys.
package siblings

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Set is the keys of a bucket.
type Set struct {
	Name string   // may be part of a bucket's name
	Keys []string // sorted bytewise, distinct, valid UTF-8
}

// Rules say which keys a server can hold.
type Rules struct {
	ObjectAndDirectory bool // "a" and "a/b" at once
	Markers            bool // "a/" and "a/b" at once
}

// near is what follows X in the names of siblings: every printable ASCII
// character up to '0' but '/', and a few that sort far behind it.
var near = []string{" ", "!", `"`, "#", "$", "%", "&", "'", "(", ")", "*", "+", ",", "-", ".", "0", "A", "_", "~", "é"}

// names are those of directories.
var names = []string{"a", "data", "events", "x y", "10", "é"}

// fewKeys and manyKeys are how many keys a directory has, or a run of siblings:
// about a page, for pages of a few keys and for those of 1,000.
var (
	fewKeys  = []int{1, 2, 3, 5, 10, 11}
	manyKeys = []int{999, 1000, 1001, 1500, 2000}
)

// Reported returns a set of 3,100 keys. Imports of it from MinIO once held 2,500. It has a directory, one sibling that is a directory of more than a page, and a
// directory that follows both.
func Reported() Set {
	var keys []string
	for i := range 1500 {
		keys = append(keys, fmt.Sprintf("events-archive/%04d", i), fmt.Sprintf("events/%04d", i))
	}
	for i := range 100 {
		keys = append(keys, fmt.Sprintf("users/%03d", i))
	}
	return newSet("reported", keys, Rules{})
}

// Small returns a set of at most a few hundred keys, for listings in small pages:
// directories in each other, all with many kinds of siblings.
func Small(r *rand.Rand, rules Rules) Set {
	g := generator{r: r, rules: rules}
	for range 1 + r.IntN(2) {
		g.directory(g.pick(names), 2)
	}
	return newSet("small", g.keys, rules)
}

// Large returns a set of some thousands of keys, for listings in pages of 1,000:
// one directory with few siblings, most of which need more than a page.
func Large(r *rand.Rand, rules Rules) Set {
	g := generator{r: r, rules: rules}
	name := g.pick(names)
	g.run(name+"/", manyKeys)
	for range 1 + r.IntN(2) {
		g.run(name+g.pick(near)+g.pick([]string{"", "/", "z/"}), manyKeys)
	}
	g.siblings(name, 1+r.IntN(len(near)))
	g.run("users/", fewKeys) // lost, if a listing of the others ends early
	return newSet("large", g.keys, rules)
}

func newSet(name string, keys []string, rules Rules) Set {
	slices.Sort(keys)
	return Set{Name: name, Keys: allowed(slices.Compact(keys), rules)}
}

// allowed returns those of the sorted keys that a server can hold together.
func allowed(sorted []string, rules Rules) []string {
	isDirectory := func(key string) bool {
		i, exact := slices.BinarySearch(sorted, key+"/")
		return exact || i < len(sorted) && strings.HasPrefix(sorted[i], key+"/")
	}
	var kept []string
	for _, key := range sorted {
		marker := strings.HasSuffix(key, "/")
		if marker && rules.Markers || !marker && (rules.ObjectAndDirectory || !isDirectory(key)) {
			kept = append(kept, key)
		}
	}
	return kept
}

// generator collects keys.
type generator struct {
	r     *rand.Rand
	rules Rules
	keys  []string // in any order; one may be there twice
}

// directory adds a directory with siblings, and others in it, nested at most so
// deep.
func (g *generator) directory(name string, depth int) {
	g.keys = append(g.keys, name) // which few servers can hold beside the directory
	if g.r.IntN(3) == 0 {
		g.keys = append(g.keys, name+"/")
	}
	g.run(name+"/", fewKeys)
	g.siblings(name, 1+g.r.IntN(2*len(near)))
	if depth > 1 {
		g.directory(name+"/"+g.pick(names), depth-1)
	}
}

// siblings adds n siblings of a directory: objects, directories and runs of either.
func (g *generator) siblings(name string, n int) {
	for range n {
		sibling := name + g.pick(near)
		switch g.r.IntN(4) {
		case 0:
			g.keys = append(g.keys, sibling)
		case 1:
			g.keys = append(g.keys, sibling+"/"+g.pick(names))
		case 2:
			g.keys = append(g.keys, sibling+g.pick(near))
		default:
			g.run(sibling+g.pick([]string{"", "/", "z", "z/"}), fewKeys[:4])
		}
	}
}

// run adds keys that differ in their last four characters, as many as one of the
// counts says.
func (g *generator) run(prefix string, counts []int) {
	for i := range g.pickInt(counts) {
		g.keys = append(g.keys, fmt.Sprintf("%s%04d", prefix, i))
	}
}

func (g *generator) pick(from []string) string { return from[g.r.IntN(len(from))] }

func (g *generator) pickInt(from []int) int { return from[g.r.IntN(len(from))] }
