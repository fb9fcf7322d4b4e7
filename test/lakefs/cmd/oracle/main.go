// Command oracle prints the ID of the metarange that lakeFS's packages make of entries. It
// reads the entries from standard input, sorted by key, as JSON lines of key, address, etag,
// size and mod_time (RFC 3339).
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/test/lakefs/oracle"
)

func main() {
	breaks := partition.DefaultBreaks
	flag.Uint64Var(&breaks.MinSize, "min", breaks.MinSize, "least size of a range in `bytes`")
	flag.Uint64Var(&breaks.MaxSize, "max", breaks.MaxSize, "size in `bytes` at which a range ends")
	flag.Uint64Var(&breaks.Raggedness, "raggedness", breaks.Raggedness, "mean number of `entries` between anchors")
	flag.Parse()
	id, err := run(os.Stdin, breaks)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
	fmt.Println(id)
}

func run(r io.Reader, breaks partition.Breaks) (string, error) {
	entries, err := entrytest.ReadLines(bufio.NewReader(r))
	if err != nil {
		return "", err
	}
	id, _, err := oracle.Metarange(entries, breaks)
	return id, err
}
