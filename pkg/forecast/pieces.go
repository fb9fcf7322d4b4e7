package forecast

import (
	"math"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// Tiling says how long, in pages, the pieces of a segment may be: the first one, and then
// longer the further away from the consumer they start.
type Tiling struct {
	First  float64 // length of the first piece
	Growth float64 // of a piece, for each page before it
	End    float64 // pages after which no more need be cut
}

// Piece is what was cut off a segment.
type Piece struct {
	Rest Rest
	Top  bool // it starts at a guess at where all keys end
}

// Cut cuts r at up to n keys, shortens it to the first of them, and returns the pieces, in
// order. There may be none, as the densities of pages bear only so many cuts.
func (m *Pages) Cut(r *Rest, n int, t Tiling) []Piece {
	if n = min(n, bears-r.density.uses); n < 1 {
		return nil
	}
	m.model(r)
	points := m.points(r, n, t)
	if len(points) == 0 {
		return nil
	}
	r.surprise = false
	r.density.uses += len(points)
	pieces := make([]Piece, len(points))
	for i, at := range points {
		end := point{key: r.Hi, pages: r.Pages}
		if i+1 < len(points) {
			end = points[i+1]
		}
		rest := *r
		rest.Pos, rest.Hi, rest.Pages = at.key, end.key, max(0, end.pages-at.pages)
		rest.begun, rest.listed = false, 0
		pieces[i] = Piece{rest, at.top}
	}
	r.Hi, r.Pages, r.listed = points[0].key, points[0].pages, 1
	return pieces
}

// point is where to cut a segment.
type point struct {
	key   string
	pages float64 // expected from Pos to key
	top   bool    // a guess at where all keys end
}

// points returns up to n keys at which to cut r, in order: the end of the directory that
// its density is that of, and pieces of that. If the end of all keys is not known, there
// are guesses at it, and at where siblings of the directory are.
func (m *Pages) points(r *Rest, n int, t Tiling) []point {
	var points []point
	add := func(at point) {
		if at.key > r.Pos && (r.Hi == "" || at.key < r.Hi) {
			points = append(points, at)
		}
	}
	further := 0
	if r.end != r.Hi && r.Pages-r.inside >= shortest {
		add(point{key: r.end, pages: r.inside})
		if r.Hi == "" {
			further = min(siblings, (n-1)/2)
		}
	}
	known := r.inside
	if r.run {
		known = r.Pages
	}
	for _, pages := range t.places(known, n-len(points)-further) {
		if key, ok := m.at(r, pages); ok {
			add(point{key: key, pages: pages})
		}
	}
	for pages := 4 * r.inside; further > 0; further, pages = further-1, 2*pages {
		if key, ok := m.sibling(r, pages); ok {
			add(point{key: key, pages: min(pages, r.Pages)})
		}
	}
	if r.Hi == "" {
		for _, key := range m.alphabet.Tops(m.code.Encode(r.Pos)) {
			add(point{key: m.code.Decode(key), pages: r.Pages, top: true})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return strings.Compare(a.key, b.key) })
	return slices.CompactFunc(points, func(a, b point) bool { return a.key == b.key })
}

// at returns the key that lies a number of pages after r.Pos, if there is one.
func (m *Pages) at(r *Rest, pages float64) (string, bool) {
	pos := m.code.Encode(r.Pos)
	if key, ok := m.alphabet.Add(pos, m.width(r)+math.Log(pages)); ok {
		if clipped := m.pairs.Clip(key, keyspace.Common(key, m.code.Encode(r.density.last))); clipped > pos && !r.surprise {
			key = clipped
		}
		if key = m.code.Decode(key); r.end == "" || key < r.end {
			return key, true
		}
	}
	if !r.run {
		return "", false
	}
	c := keyspace.Common(r.Pos, r.Hi) + max(1, int(math.Round(pages/m.climb.step())))
	if c >= len(r.Hi) {
		return "", false
	}
	return keyspace.Valid([]byte(r.Hi[:c])), true
}

// sibling returns where a directory after that of r's density begins if a number of pages
// lies before it.
func (m *Pages) sibling(r *Rest, pages float64) (string, bool) {
	key, ok := m.alphabet.Add(m.code.Encode(r.Pos), m.width(r)+math.Log(pages))
	if !ok {
		return "", false
	}
	key = m.code.Decode(key)
	at := keyspace.Common(key, r.Pos)
	if i := strings.IndexByte(key[at:], '/'); i > 0 {
		key = key[:at+i]
	}
	return key, key > r.end
}

// places returns after how many pages of rest to make up to n cuts: pieces as
// long as they may be, the last up to half as long again, and a few at growing
// distances to find out what is there.
func (t Tiling) places(rest float64, n int) (pages []float64) {
	if n < 1 {
		return nil
	}
	at, piece := 0.0, t.First
	for len(pages) < n {
		at += max(1, math.Round(piece)) - margin
		if rest-at < max(1, piece/2) || at > t.End {
			break
		}
		pages = append(pages, at)
		piece = t.First + at*t.Growth
	}
	if len(pages) < n || rest-at <= piece {
		return pages
	}
	few := (n + 2) / 3
	pages = pages[:n-few]
	at = t.First
	if len(pages) > 0 {
		at = pages[len(pages)-1]
	}
	growth := math.Pow(rest/at, 1/float64(few+1))
	for range few {
		at *= growth
		pages = append(pages, max(1, math.Round(at))-margin)
	}
	return pages
}
