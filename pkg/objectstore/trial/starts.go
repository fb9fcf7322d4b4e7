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
			s := w.inside(r, crowded[i/len(insides)%len(crowded)], insides[i%len(insides)])
			s.Keys = sizes[i/len(insides)/len(crowded)%len(sizes)]
			add(s)
		}
	}
	for i := 0; len(starts) < n && i < 4*n; i++ {
		s := w.near(r, nears[i%len(nears)])
		s.Keys = sizes[i/len(nears)%len(sizes)]
		add(s)
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

// The starts inside a crowded directory, in words.
const (
	insideKey    = "a key in a directory whose siblings sort before it"
	insideMadeUp = "a made-up name in a directory whose siblings sort before it"
	insideNone   = "a directory whose siblings sort before it"
)

var insides = []string{insideKey, insideMadeUp, insideNone}

func (w *Walk) inside(r *rand.Rand, d directory, what string) Start {
	path := d.name + "/"
	switch what {
	case insideKey:
		from, _ := slices.BinarySearch(w.Keys, path)
		to, _ := slices.BinarySearch(w.Keys, d.name+"0") // '0' follows '/'
		path = w.Keys[from+r.IntN(to-from)]
	case insideMadeUp:
		path += madeUp(r)
	}
	return Start{After: path, What: what}
}

// The starts near a key, in words.
const (
	nearKey       = "a key"
	nearAfter     = "a made-up string just after a key"
	nearBefore    = "a made-up string just before a key"
	nearPart      = "the beginning of a key"
	nearDirectory = "a directory of a key, without its '/'"
	nearSlash     = "a directory of a key"
	nearInside    = "a made-up name in a directory of a key"
	nearFirst     = "the prefix"
)

var nears = []string{nearKey, nearAfter, nearBefore, nearPart, nearDirectory, nearSlash, nearInside, nearFirst}

func (w *Walk) near(r *rand.Rand, what string) Start {
	key := w.Keys[r.IntN(len(w.Keys))]
	dir := ancestor(r, key, len(w.Prefix))
	s := Start{After: key, What: what}
	switch what {
	case nearAfter:
		s.After += madeUp(r)
	case nearBefore:
		s.After = justBefore(key)
	case nearPart:
		s.After = strings.ToValidUTF8(key[:r.IntN(len(key)+1)], "")
	case nearDirectory:
		s.After = strings.TrimSuffix(dir, "/")
	case nearSlash:
		s.After = dir
	case nearInside:
		s.After = dir + madeUp(r)
	case nearFirst:
		s.After = w.Prefix
	}
	return s
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
