// Package golden has listings, and the range and metarange files that a lakeFS server wrote
// when it imported them into an empty branch, for tests of the format.
package golden

import (
	"compress/gzip"
	"embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

//go:embed all:hive all:unicode
var files embed.FS

// Listing is a listing, and the files that a lakeFS server wrote when it imported the listing.
type Listing struct {
	Name        string
	Entries     []entry.Entry     // the imported entries in key order
	Breaks      partition.Breaks  // the settings of the server
	MetarangeID string            // metarange of the branch after the import
	Files       map[string][]byte // ranges and metarange, by ID
}

// Load returns all listings.
func Load() ([]Listing, error) {
	var all []Listing
	for _, name := range []string{"hive", "unicode"} {
		l, err := load(name)
		if err != nil {
			return nil, fmt.Errorf("load golden listing %s: %w", name, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// expected is the content of expected.json.
type expected struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Count       int    `json:"count"`
	MetarangeID string `json:"metarange_id"`
	MaxSize     uint64 `json:"max_range_size_bytes"`
	MinSize     uint64 `json:"min_range_size_bytes"`
	Raggedness  uint64 `json:"range_raggedness_entries"`
}

func load(name string) (Listing, error) {
	raw, err := files.ReadFile(path.Join(name, "expected.json"))
	if err != nil {
		return Listing{}, err
	}
	var want expected
	if err := json.Unmarshal(raw, &want); err != nil {
		return Listing{}, err
	}
	l := Listing{
		Name:        name,
		Breaks:      partition.Breaks{MinSize: want.MinSize, MaxSize: want.MaxSize, Raggedness: want.Raggedness},
		MetarangeID: want.MetarangeID,
		Files:       map[string][]byte{},
	}
	if l.Entries, err = entries(path.Join(name, "listing.csv.gz"), want); err != nil {
		return Listing{}, err
	}
	if len(l.Entries) != want.Count {
		return Listing{}, fmt.Errorf("%d entries, want %d", len(l.Entries), want.Count)
	}
	dir := path.Join(name, "_lakefs")
	list, err := files.ReadDir(dir)
	if err != nil {
		return Listing{}, err
	}
	for _, f := range list {
		if l.Files[f.Name()], err = files.ReadFile(path.Join(dir, f.Name())); err != nil {
			return Listing{}, err
		}
	}
	return l, nil
}

// entries reads a listing of columns key, size, etag, last_modified.
func entries(name string, want expected) ([]entry.Entry, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // embedded
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		return nil, err
	}
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(want.Source, "s3://"), "/")
	var all []entry.Entry
	for _, row := range rows[1:] { // after the header
		size, err := strconv.ParseInt(row[1], 10, 64)
		if err != nil {
			return nil, err
		}
		modTime, err := time.Parse(time.RFC3339Nano, row[3])
		if err != nil {
			return nil, err
		}
		all = append(all, entry.Entry{
			Key:     want.Destination + strings.TrimPrefix(row[0], prefix),
			Address: "s3://" + bucket + "/" + row[0],
			ETag:    row[2],
			Size:    size,
			ModTime: modTime,
		})
	}
	return all, nil
}
