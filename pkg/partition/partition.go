package partition

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// New returns the partition of a span of an import. Its ID is a hash of all that it
// says, so that a partition that is made twice is one message.
func New(importID string, span Span, aligned, uptoAligned bool) Partition {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %t %t", span.After, span.Upto, aligned, uptoAligned))
	return Partition{
		ID:       hex.EncodeToString(sum[:12]),
		ImportID: importID,
		Span:     span,
		Aligned:  aligned || span.After == "", UptoAligned: uptoAligned && span.Upto != "",
	}
}

// Whole returns the first partition of an import, which holds all keys.
func Whole(importID string) Partition { return New(importID, Span{}, false, false) }

// Uncovered returns the partitions that would cover the gaps of a fold, without
// the gaps that an outstanding partition, queued or running, will cover. Both ends of
// a gap are range boundaries or open. A partition covers what it overlaps, and writes on
// past an Upto that is no boundary, into the first gap that reaches beyond it.
func Uncovered(importID string, gaps []Span, outstanding []Partition) []Partition {
	taken := make([]bool, len(gaps))
	for _, p := range outstanding {
		writesOn := !p.UptoAligned && p.Upto != ""
		for i, gap := range gaps {
			into := writesOn && (gap.Upto == "" || gap.Upto > p.Upto)
			taken[i] = taken[i] || into || p.Overlaps(gap)
			writesOn = writesOn && !into
		}
	}
	var parts []Partition
	for i, gap := range gaps {
		if !taken[i] {
			parts = append(parts, New(importID, gap, true, true))
		}
	}
	return parts
}

// Cut returns p without the keys after A(upto), which were handed over to others.
func (p Partition) Cut(upto string) Partition {
	p.Upto, p.UptoAligned = upto, false
	return p
}

// Resume returns what is left of p after its last cover, and whether any keys are.
func (p Partition) Resume(last Cover, breaks Breaks) (rest Partition, left bool) {
	if last.Cut != "" {
		p = p.Cut(last.Cut)
	}
	p.After, p.Aligned = last.Upto, true
	return p, last.Upto != "" && !p.endsAt(last.Upto, breaks)
}

// endsAt reports whether p ends at the range boundary.
func (p Partition) endsAt(boundary string, breaks Breaks) bool {
	switch {
	case p.Upto == "":
		return false
	case p.UptoAligned:
		return boundary >= p.Upto
	default:
		return boundary > p.Upto && breaks.Anchor([]byte(boundary))
	}
}
