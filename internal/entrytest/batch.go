package entrytest

import "github.com/rangefleet/rangefleet/pkg/entry"

// Batch returns entries as one batch; they must be sorted by strictly increasing
// key.
func Batch(entries ...entry.Entry) entry.Batch {
	b := entry.NewBuilder()
	for _, e := range entries {
		Append(b, e)
	}
	return b.Batch()
}

// Append appends an entry to a builder.
func Append(b *entry.Builder, e entry.Entry) {
	b.Append([]byte(e.Key), []byte(e.Address), []byte(e.ETag), e.Size, e.ModTime.UnixNano())
}
