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
// canonical range that is safely stored. A cover with a Range ends at its last key:
// Upto == Range.MaxKey. A nil Range says that the span holds no keys. If its end is open,
// too, the cover claims the end: a listing found no key after After.
type Cover struct {
	Span
	Range *RangeMetadata `json:"range,omitempty"`
	// Cut is set once the partition of the cover has handed its keys after A(Cut)
	// over to others. A worker that resumes the partition stops there.
	Cut string `json:"cut,omitempty"`
	// Beyond is set if a partition that does not own all keys up to the open end
	// claims the end. Other partitions list the keys after Beyond, and may find some.
	Beyond string `json:"beyond,omitempty"`
}

// sound reports whether the cover can be what it says.
func (c Cover) sound() bool {
	r := c.Range
	return r == nil || c.Upto == r.MaxKey && c.After < r.MinKey && r.MinKey <= r.MaxKey && r.Count > 0
}
