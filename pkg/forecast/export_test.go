package forecast

import "strings"

// See takes the next page of the listing, as Note does, and looks at samples of its keys:
// what a forecast is worth that knows each page well.
func (o *Forecast) See(n int, key func(int) string) {
	if n == 0 {
		return
	}
	o.look()
	marks := make([]mark, min(samples, n))
	for i := range marks {
		at := i * (n - 1) / max(1, len(marks)-1)
		marks[i] = mark{strings.Clone(key(at)), o.listed + int64(at)}
	}
	o.enter(marks)
	o.skip(n)
}

// Skip counts n keys of the listing that nobody looks at.
func (o *Forecast) Skip(n int) { o.skip(n) }
