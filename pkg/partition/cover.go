package partition

// RangeMetadata describes a range: an immutable table of consecutive entries.
type RangeMetadata struct {
	ID            string `json:"id"`             // hash of the content, 64 hex digits
	MinKey        string `json:"min_key"`        // first key
	MaxKey        string `json:"max_key"`        // last key
	Count         int64  `json:"count"`          // number of entries, at least 1
	EstimatedSize uint64 `json:"estimated_size"` // the table's size in bytes as its writer estimated it before closing
}

// Cover is a durable record: the keys of Span are exactly those of Range, a
// canonical range that is safely stored. A nil Range says that the span holds
// no keys; if its end is open, the cover is a claim of the end: a listing came to an
// end there. A cover with a Range ends with its last key, Upto == Range.MaxKey.
type Cover struct {
	Span
	Range *RangeMetadata `json:"range,omitempty"`
	// Cut is set once the partition that made the cover handed its keys after
	// Cut to another one: whoever resumes it stops there.
	Cut string `json:"cut,omitempty"`
	// Beyond is set on a claim of the end by a partition that does not own all
	// keys up to the open end: those after Beyond are others' to list, who may
	// know better.
	Beyond string `json:"beyond,omitempty"`
}
