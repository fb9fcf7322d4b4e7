package synths3

import "slices"

// Quirk is a habit of stores that keep S3's promises badly. Each is one that has
// been reported of a store in use.
type Quirk string

// The quirks. Where not said otherwise, every page has them.
const (
	InclusiveStart   Quirk = "inclusive_start"   // a listing starts at start-after, not after it
	IgnoredStart     Quirk = "ignored_start"     // start-after is ignored
	Unsorted         Quirk = "unsorted"          // the two middle keys are swapped
	Duplicates       Quirk = "duplicates"        // the middle key is listed twice
	EndsEarly        Quirk = "ends_early"        // IsTruncated is false though keys follow
	NeverEnds        Quirk = "never_ends"        // IsTruncated is true though none follow
	NoToken          Quirk = "no_token"          // a truncated page names no continuation token
	SkippingToken    Quirk = "skipping_token"    // a page that is asked for by token lacks its first key
	NoEncoding       Quirk = "no_encoding"       // encoding-type is ignored
	SilentEncoding   Quirk = "silent_encoding"   // keys are encoded but EncodingType is not sent
	ReplacedControls Quirk = "replaced_controls" // without encoding, control characters become U+FFFD
	RawControls      Quirk = "raw_controls"      // without encoding, control characters are sent as they are
	NoKeyCount       Quirk = "no_key_count"
	WrongKeyCount    Quirk = "wrong_key_count"
	EmptyPages       Quirk = "empty_pages" // a page asked for without token is empty, truncated, and names a token
	ShortPages       Quirk = "short_pages" // pages have half as many keys as they could, or some more; S3 allows it
	Unclosed         Quirk = "unclosed"    // the XML ends before its last tag, the HTTP message is whole
)

// Quirks returns all quirks.
func Quirks() []Quirk {
	return []Quirk{
		InclusiveStart, IgnoredStart, Unsorted, Duplicates, EndsEarly, NeverEnds, NoToken, SkippingToken, NoEncoding,
		SilentEncoding, ReplacedControls, RawControls, NoKeyCount, WrongKeyCount, EmptyPages, ShortPages, Unclosed,
	}
}

// quirks is a set of them.
type quirks []Quirk

func setOf(q []Quirk) quirks { return slices.Clone(q) }

func (q quirks) has(one Quirk) bool { return slices.Contains(q, one) }

// quirksOfPage returns those that the next page has.
func (f *faults) quirksOfPage(c *counters) quirks {
	if len(f.quirks) == 0 || f.QuirkShare > 0 && f.random().Float64() >= f.QuirkShare {
		return nil
	}
	c.quirky.Add(1)
	return f.quirks
}

// spoil does to a page what the quirks do to its items and its end.
func (p *page) spoil(b bucket, quirks quirks) {
	if len(quirks) == 0 {
		return
	}
	if mid := len(p.items) / 2; mid > 0 && quirks.has(Unsorted) {
		p.items[mid-1], p.items[mid] = p.items[mid], p.items[mid-1]
	}
	switch {
	case quirks.has(EndsEarly):
		p.truncated, p.after = false, ""
	case quirks.has(NeverEnds) && !p.truncated:
		p.truncated = true
		p.after = p.next(b, b.Len())
	}
}
