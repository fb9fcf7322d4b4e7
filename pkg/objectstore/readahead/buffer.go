package readahead

import (
	"sort"

	"github.com/rangefleet/rangefleet/pkg/forecast"
)

// buffer is the memory of pages that are not taken yet, and how large pages are.
type buffer struct {
	budget   int     // bytes that pages may hold
	held     int     // bytes that they hold
	pageLen  int     // entries of the longest page
	pageSize float64 // bytes of a full page, a moving average
}

// measure learns from a page of so many entries, at least one, and bytes.
func (b *buffer) measure(entries, bytes int) {
	b.pageLen = max(b.pageLen, entries)
	size := float64(bytes) / float64(entries) * float64(b.pageLen)
	if b.pageSize == 0 {
		b.pageSize = size
	}
	b.pageSize += (size - b.pageSize) / 16
}

// window returns how many pages the budget holds.
func (b *buffer) window() float64 { return float64(b.budget) / max(1, b.pageSize) }

// free returns how many more pages fit now, with so many in flight.
func (b *buffer) free(inFlight int) float64 {
	return b.window() - float64(b.held)/max(1, b.pageSize) - float64(inFlight)
}

// keyReader reads keys of pages.
type keyReader[P paged[P]] struct {
	text []byte // scratch
}

// at returns key i of a page.
func (r *keyReader[P]) at(page P, i int) string {
	r.text = page.AppendKey(r.text[:0], i)
	return string(r.text)
}

// through returns how many entries of a page lie at or before hi; "" is no bound. The last
// key of the page is last.
func (r *keyReader[P]) through(page P, last, hi string) int {
	if hi == "" || last <= hi {
		return page.Len()
	}
	return sort.Search(page.Len(), func(i int) bool { return r.at(page, i) > hi })
}

// sample returns keys of a page, the first and the last among them.
func (r *keyReader[P]) sample(page P) []string {
	n := page.Len()
	keys := make([]string, min(forecast.Samples, n))
	text, ends := r.text[:0], [forecast.Samples]int{}
	for i := range keys {
		text = page.AppendKey(text, i*(n-1)/max(1, len(keys)-1))
		ends[i] = len(text)
	}
	r.text = text
	all, start := string(text), 0 // one allocation
	for i := range keys {
		keys[i] = all[start:ends[i]]
		start = ends[i]
	}
	return keys
}
