// Package siblings makes sets of keys that show whether a store sorts by whole keys or by
// directory names. Such a set has a directory X/ and siblings, which are keys that begin with X
// followed by a character that sorts near '/'. In bytewise order, most siblings lie between X and
// X/. Stores that keep a directory as a name X, or list one directory at a time, may lose keys
// there.
package siblings

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Set is the keys of a bucket.
type Set struct {
	Name string   // can be part of a bucket's name
	Keys []string // sorted bytewise, distinct, valid UTF-8
}

// Rules tell which keys a server can hold.
type Rules struct {
	ObjectAndDirectory bool // "a" and "a/b" at the same time
	Markers            bool // "a/" and "a/b" at the same time
}

// near holds the characters that follow X in siblings: every printable ASCII character up to '0'
// except '/', and a few that sort far behind it.
var near = []string{" ", "!", `"`, "#", "$", "%", "&", "'", "(", ")", "*", "+", ",", "-", ".", "0", "A", "_", "~", "é"}

// names are names of directories.
var names = []string{"a", "data", "events", "x y", "10", "é"}

// fewKeys and manyKeys are the numbers of keys in a directory or a run of siblings: about a page,
// for pages of a few keys and of 1,000.
var (
	fewKeys  = []int{1, 2, 3, 5, 10, 11}
	manyKeys = []int{999, 1000, 1001, 1500, 2000}
)

// Reported returns a set of 3,100 keys. Imports of it from MinIO once held only 2,500. It has a
// directory, a sibling that is a directory of more than a page, and a directory that follows both.
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

// Small returns a set of at most a few hundred keys, for listings in small pages. It has nested
// directories with many kinds of siblings.
func Small(r *rand.Rand, rules Rules) Set {
	g := generator{r: r, rules: rules}
	for range 1 + r.IntN(2) {
		g.directory(g.pick(names), 2)
	}
	return newSet("small", g.keys, rules)
}

// Large returns a set of some thousands of keys, for listings in pages of 1,000. It has one
// directory with few siblings, which mostly fill more than a page.
func Large(r *rand.Rand, rules Rules) Set {
	g := generator{r: r, rules: rules}
	name := g.pick(names)
	g.run(name+"/", manyKeys)
	for range 1 + r.IntN(2) {
		g.run(name+g.pick(near)+g.pick([]string{"", "/", "z/"}), manyKeys)
	}
	g.siblings(name, 1+r.IntN(len(near)))
	g.run("users/", fewKeys) // lost if a listing ends early
	return newSet("large", g.keys, rules)
}

func newSet(name string, keys []string, rules Rules) Set {
	slices.Sort(keys)
	return Set{Name: name, Keys: allowed(slices.Compact(keys), rules)}
}

// allowed returns the sorted keys without those that a server cannot hold together with others.
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
	keys  []string // in any order, with repetitions
}

// directory adds a directory with siblings, and directories in it, nested to at most depth.
func (g *generator) directory(name string, depth int) {
	g.keys = append(g.keys, name) // few servers can hold this key and the directory
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

// run adds keys that differ in their last four characters. Their number is one of the counts.
func (g *generator) run(prefix string, counts []int) {
	for i := range g.pickInt(counts) {
		g.keys = append(g.keys, fmt.Sprintf("%s%04d", prefix, i))
	}
}

func (g *generator) pick(from []string) string { return from[g.r.IntN(len(from))] }

func (g *generator) pickInt(from []int) int { return from[g.r.IntN(len(from))] }
