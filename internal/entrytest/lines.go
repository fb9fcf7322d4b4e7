package entrytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
)

// line is an entry as one line of JSON, in which test programs exchange entries.
type line struct {
	Key     string    `json:"key"`
	Address string    `json:"address"`
	ETag    string    `json:"etag"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mod_time"` // RFC 3339
}

// WriteLines writes entries as JSON lines.
func WriteLines(w io.Writer, entries []entry.Entry) error {
	e := json.NewEncoder(w)
	for _, x := range entries {
		if err := e.Encode(line(x)); err != nil {
			return fmt.Errorf("write entry %q: %w", x.Key, err)
		}
	}
	return nil
}

// ReadLines reads the entries that WriteLines wrote.
func ReadLines(r io.Reader) ([]entry.Entry, error) {
	var entries []entry.Entry
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	for {
		var l line
		err := d.Decode(&l)
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read entry %d: %w", len(entries)+1, err)
		}
		entries = append(entries, entry.Entry(l))
	}
}
