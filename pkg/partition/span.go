// Package partition splits the keys of an import into partitions that workers list in
// parallel, and decides whether every key has been listed: spans, anchors, what a
// partition owns and how it is cut, and covers folded into a chain with its gaps.
//
// It is pure: it knows no clock, goroutine, network or queue.
package partition

import "fmt"

// Span is the half-open interval of keys (After, Upto]. No key is empty, so an
// empty After is the open start and an empty Upto is the open end: the zero
// Span holds every key.
type Span struct {
	After string `json:"after"`
	Upto  string `json:"upto"`
}

// Empty reports whether no key can lie in the span.
func (s Span) Empty() bool { return s.Upto != "" && s.Upto <= s.After }

// Overlaps reports whether a key can lie in both spans.
func (s Span) Overlaps(o Span) bool {
	return !s.Empty() && !o.Empty() &&
		(o.Upto == "" || s.After < o.Upto) && (s.Upto == "" || o.After < s.Upto)
}

// String writes the span as (after, upto], with -inf and +inf for open ends.
func (s Span) String() string {
	after, upto := "-inf", "+inf]"
	if s.After != "" {
		after = fmt.Sprintf("%q", s.After)
	}
	if s.Upto != "" {
		upto = fmt.Sprintf("%q]", s.Upto)
	}
	return "(" + after + ", " + upto
}

// Partition is a span of one import, one message of the work queue.
//
// It owns the keys in (A(After), A(Upto)], where A(x) is the first anchor after
// x, and A of an open end is that end. If Aligned is set, After is known to be a range
// boundary, and A(After) = After. If UptoAligned is set, Upto is known to be one, and
// the partition ends with the first range that reaches Upto.
type Partition struct {
	ID       string `json:"id"`
	ImportID string `json:"import_id"`
	Span
	Aligned     bool `json:"aligned"`
	UptoAligned bool `json:"upto_aligned,omitempty"`
}
