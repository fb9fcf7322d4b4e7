package partition

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Cuts proposes up to n keys at which to cut span, in increasing order, knowing
// only one page of its keys that runs from first to last: all proposals are
// greater than last and lie within the span. They are valid UTF-8 and need not
// exist. A bad proposal costs a LIST call, never a key.
//
// What follows last differs from it first at some offset, where it has a
// greater character; for each offset the proposals are last's prefix with a
// greater character of the same class. Offsets past the page's common prefix
// come first: that far keys are known to vary.
func Cuts(span Span, first, last string, n int) []string {
	if n < 1 {
		return nil
	}
	common := commonPrefix(first, last)
	perOffset := max(1, n/4)
	var cuts []string
	propose := func(offset int) {
		for _, c := range above(last[offset], perOffset) {
			cut := last[:offset] + string(rune(c))
			if span.Contains(cut) && !slices.Contains(cuts, cut) {
				cuts = append(cuts, cut)
			}
		}
	}
	for i := common; i < len(last) && len(cuts) < n; i++ {
		if utf8.RuneStart(last[i]) {
			propose(i)
		}
	}
	for i := common - 1; i >= 0 && len(cuts) < n; i-- {
		if utf8.RuneStart(last[i]) {
			propose(i)
		}
	}
	cuts = cuts[:min(n, len(cuts))]
	slices.Sort(cuts)
	return cuts
}

// Middle proposes one key at which to cut what is left of span after last, or
// answers false if it finds none.
func Middle(span Span, first, last string) (cut string, ok bool) {
	cuts := Cuts(span, first, last, 9)
	if len(cuts) == 0 {
		return "", false
	}
	return cuts[len(cuts)/2], true
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// classes are the characters that keys use together, each in bytewise order.
var classes = []string{"0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"}

// above returns up to n evenly spaced ASCII characters that follow c among the
// characters of its class and of the classes after it.
func above(c byte, n int) []byte {
	all := strings.Join(classes, "")
	i := strings.IndexFunc(all, func(r rune) bool { return r > rune(c) })
	if i < 0 {
		return nil
	}
	rest := all[i:]
	for _, class := range classes {
		if j := strings.IndexByte(class, c); j >= 0 && j+1 < len(class) {
			rest = class[j+1:]
		}
	}
	var chars []byte
	for k := range min(n, len(rest)) {
		chars = append(chars, rest[k*len(rest)/min(n, len(rest))])
	}
	return chars
}
