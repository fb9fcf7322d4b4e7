package forecast

import "strings"

// See takes the next page of the listing, as Note does, and looks at samples of its keys:
// what a forecast is worth that knows each page well.
func (f *Forecast) See(n int, key func(int) string) {
	if n == 0 {
		return
	}
	f.digest()
	marks := make([]mark, min(Samples, n))
	for i := range marks {
		at := i * (n - 1) / max(1, len(marks)-1)
		marks[i] = mark{strings.Clone(key(at)), f.listed + int64(at)}
	}
	f.learn(marks)
	f.skip(n)
}

// Skip counts n keys of the listing without looking at them.
func (f *Forecast) Skip(n int) { f.skip(n) }
