package synths3

import "slices"

// Quirk is a deviation from S3's behavior. Each has been reported of a real store.
type Quirk string

// The quirks. Every page has them unless the comment says otherwise.
const (
	InclusiveStart   Quirk = "inclusive_start"   // a listing starts at start-after, not after it
	IgnoredStart     Quirk = "ignored_start"     // start-after is ignored
	Unsorted         Quirk = "unsorted"          // the two middle keys are swapped
	Duplicates       Quirk = "duplicates"        // the middle key is listed twice
	EndsEarly        Quirk = "ends_early"        // IsTruncated is false though keys follow
	NeverEnds        Quirk = "never_ends"        // IsTruncated is true though none follow
	NoToken          Quirk = "no_token"          // a truncated page has no continuation token
	SkippingToken    Quirk = "skipping_token"    // a page requested by token lacks its first key
	NoEncoding       Quirk = "no_encoding"       // encoding-type is ignored
	SilentEncoding   Quirk = "silent_encoding"   // keys are encoded, but EncodingType is not sent
	ReplacedControls Quirk = "replaced_controls" // without encoding, control characters become U+FFFD
	RawControls      Quirk = "raw_controls"      // without encoding, control characters are sent as they are
	NoKeyCount       Quirk = "no_key_count"
	WrongKeyCount    Quirk = "wrong_key_count"
	EmptyPages       Quirk = "empty_pages" // a page requested without a token is empty, truncated, and has a token
	ShortPages       Quirk = "short_pages" // pages have at least half of the keys that they could have; S3 allows that
	Unclosed         Quirk = "unclosed"    // the XML ends before its last tag, but the HTTP message is complete
)

// Quirks returns all quirks.
func Quirks() []Quirk {
	return []Quirk{
		InclusiveStart, IgnoredStart, Unsorted, Duplicates, EndsEarly, NeverEnds, NoToken, SkippingToken, NoEncoding,
		SilentEncoding, ReplacedControls, RawControls, NoKeyCount, WrongKeyCount, EmptyPages, ShortPages, Unclosed,
	}
}

// quirks is a set of quirks.
type quirks []Quirk

func setOf(q []Quirk) quirks { return slices.Clone(q) }

func (q quirks) has(one Quirk) bool { return slices.Contains(q, one) }

// quirksOfPage returns the quirks of the next page.
func (f *faults) quirksOfPage(c *counters) quirks {
	if len(f.quirks) == 0 || f.QuirkShare > 0 && f.random().Float64() >= f.QuirkShare {
		return nil
	}
	c.quirky.Add(1)
	return f.quirks
}

// applyQuirks applies the quirks that concern the items and the end of the page.
func (p *page) applyQuirks(b bucket, quirks quirks) {
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
