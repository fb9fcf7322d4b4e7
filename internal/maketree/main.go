// Command maketree writes the ranges and the metarange of entries to a directory, in files
// named by their IDs, and prints the ID of the metarange. It reads the entries from standard
// input, sorted by key, as JSON lines of key, address, etag, size and mod_time (RFC 3339).
// Tests compare the files with those of lakeFS's packages, which cannot be linked into one
// program with Rangefleet's.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

func main() {
	breaks := partition.DefaultBreaks
	dir := flag.String("dir", ".", "`directory` to store the files in")
	flag.Uint64Var(&breaks.MinSize, "min", breaks.MinSize, "least size of a range in `bytes`")
	flag.Uint64Var(&breaks.MaxSize, "max", breaks.MaxSize, "size in `bytes` at which a range ends")
	flag.Uint64Var(&breaks.Raggedness, "raggedness", breaks.Raggedness, "mean number of `entries` between anchors")
	flag.Parse()
	id, err := run(context.Background(), os.Stdin, files(*dir), breaks)
	if err != nil {
		fmt.Fprintln(os.Stderr, "maketree:", err)
		os.Exit(1)
	}
	fmt.Println(id)
}

// run returns the ID of the metarange of the entries in r.
func run(ctx context.Context, r io.Reader, to files, breaks partition.Breaks) (string, error) {
	entries, err := entrytest.ReadLines(bufio.NewReader(r))
	if err != nil {
		return "", err
	}
	var ranges []partition.RangeMetadata
	w := rangewriter.New(ctx, to, breaks, rangewriter.Options{
		Uploads: 2,
		Stored: func(m partition.RangeMetadata) error {
			ranges = append(ranges, m)
			return nil
		},
	})
	defer w.Close()
	for chunk := range slices.Chunk(entries, 1000) {
		if err := w.Write(entrytest.Batch(chunk...)); err != nil {
			return "", err
		}
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return metarange.Write(ctx, to, ranges)
}

// files is a directory of files named by their IDs.
type files string

func (f files) Put(_ context.Context, id string, data []byte, _ objectstore.Sum) error {
	return os.WriteFile(filepath.Join(string(f), id), data, 0o600)
}

func (f files) Get(_ context.Context, id string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(f), id))
}
