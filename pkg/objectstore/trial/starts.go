package trial

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"
)

// Start is a place to list after.
type Start struct {
	After string // valid UTF-8, not before the prefix
	What  string // what After is, in words
	Keys  int    // of the page that is asked for: smallPage, or 0 for a full one
}

// smallPage is the number of keys of small pages, in which some faults show first.
const smallPage = 2

// maxStart is the length of the longest start in bytes, which is that of a key.
const maxStart = 1024

// sizes are those of pages, which take turns.
var sizes = []int{smallPage, 0}

// starts returns at most n distinct starts for which the walk shows what follows. Half of them
// lie in directories X/ that have many siblings: keys that begin with X and sort before X/.
// The others lie at and around any keys.
func (w *Walk) starts(r *rand.Rand, n int) []Start {
	if len(w.Keys) == 0 {
		return nil
	}
	var starts []Start
	seen := make(map[Start]bool)
	add := func(s Start) {
		id := Start{After: s.After, Keys: s.Keys}
		if len(s.After) <= maxStart && s.After >= w.Prefix && w.tells(s.After) && !seen[id] {
			seen[id] = true
			starts = append(starts, s)
		}
	}
	if crowded := w.crowded(r); len(crowded) > 0 {
		for i := range n / 2 {
			inside, dir := insides[i%len(insides)], crowded[i/len(insides)%len(crowded)].name+"/"
			add(Start{After: inside.at(w, r, dir), What: inside.what, Keys: sizes[i/len(insides)/len(crowded)%len(sizes)]})
		}
	}
	for i := 0; len(starts) < n && i < 4*n; i++ {
		near, key := nears[i%len(nears)], w.Keys[r.IntN(len(w.Keys))]
		dir := ancestor(r, key, len(w.Prefix))
		add(Start{After: near.at(w, r, key, dir), What: near.what, Keys: sizes[i/len(nears)%len(sizes)]})
	}
	return starts
}

// directory is a common beginning of keys up to a '/'.
type directory struct {
	name     string // without the '/'
	siblings int    // keys that begin with name and sort before name + "/"
}

// mostCrowded is how many directories are tried for their siblings.
const mostCrowded = 16

// crowded returns the directories with siblings, those with the most siblings first.
func (w *Walk) crowded(r *rand.Rand) []directory {
	var all []directory
	last := ""
	for i, key := range w.Keys {
		for p := len(w.Prefix); p < len(key); p++ {
			if key[p] != '/' || strings.HasPrefix(last, key[:p+1]) {
				continue
			}
			if before, _ := slices.BinarySearch(w.Keys, key[:p]); before < i {
				all = append(all, directory{name: key[:p], siblings: i - before})
			}
		}
		last = key
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slices.SortStableFunc(all, func(a, b directory) int { return cmp.Compare(b.siblings, a.siblings) })
	return all[:min(len(all), mostCrowded)]
}

// insides are the starts inside a crowded directory, in words.
var insides = []struct {
	what string
	at   func(w *Walk, r *rand.Rand, dir string) string // dir ends in '/'
}{
	{"a key in a directory whose siblings sort before it", func(w *Walk, r *rand.Rand, dir string) string {
		from, _ := slices.BinarySearch(w.Keys, dir)
		to, _ := slices.BinarySearch(w.Keys, dir[:len(dir)-1]+"0") // '0' follows '/'
		return w.Keys[from+r.IntN(to-from)]
	}},
	{"a made-up name in a directory whose siblings sort before it", func(_ *Walk, r *rand.Rand, dir string) string { return dir + madeUp(r) }},
	{"a directory whose siblings sort before it", func(_ *Walk, _ *rand.Rand, dir string) string { return dir }},
}

// nears are the starts near a key in a directory, which ends in '/' or is empty, in words.
var nears = []struct {
	what string
	at   func(w *Walk, r *rand.Rand, key, dir string) string
}{
	{"a key", func(_ *Walk, _ *rand.Rand, key, _ string) string { return key }},
	{"a made-up string just after a key", func(_ *Walk, r *rand.Rand, key, _ string) string { return key + madeUp(r) }},
	{"a made-up string just before a key", func(_ *Walk, _ *rand.Rand, key, _ string) string { return justBefore(key) }},
	{"the beginning of a key", func(_ *Walk, r *rand.Rand, key, _ string) string {
		return strings.ToValidUTF8(key[:r.IntN(len(key)+1)], "")
	}},
	{"a directory of a key, without its '/'", func(_ *Walk, _ *rand.Rand, _, dir string) string { return strings.TrimSuffix(dir, "/") }},
	{"a directory of a key", func(_ *Walk, _ *rand.Rand, _, dir string) string { return dir }},
	{"a made-up name in a directory of a key", func(_ *Walk, r *rand.Rand, _, dir string) string { return dir + madeUp(r) }},
	{"the prefix", func(w *Walk, _ *rand.Rand, _, _ string) string { return w.Prefix }},
}

// ancestor returns a directory of a key, with its '/', that ends at or after an offset, or "".
func ancestor(r *rand.Rand, key string, from int) string {
	var ends []int
	for p := from; p < len(key); p++ {
		if key[p] == '/' {
			ends = append(ends, p+1)
		}
	}
	if len(ends) == 0 {
		return ""
	}
	return key[:ends[r.IntN(len(ends))]]
}

// justBefore returns a string that sorts before a key, with few others between.
func justBefore(key string) string {
	last, size := utf8.DecodeLastRuneInString(key)
	head := key[:len(key)-size]
	if last <= ' ' || last > '~' {
		return head
	}
	return head + string(last-1) + "~"
}

// madeUp returns a text with which keys may go on: characters around '/', digits, letters,
// and one beyond ASCII.
func madeUp(r *rand.Rand) string {
	characters := []rune(" !%+-.0159AZ_az~é")
	text := make([]rune, 1+r.IntN(3))
	for i := range text {
		text[i] = characters[r.IntN(len(characters))]
	}
	return string(text)
}
