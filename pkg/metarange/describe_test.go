package metarange_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// counting counts the bytes that are read of files.
type counting struct {
	metarange.Parts
	bytes int
}

func (c *counting) GetRange(ctx context.Context, id string, offset, n int64) ([]byte, int64, error) {
	part, size, err := c.Parts.GetRange(ctx, id, offset, n)
	c.bytes += len(part)
	return part, size, err
}

// Describe returns what a writer said of a range, by two short reads, however large the range
// and its keys are.
func TestDescribeReadsTheEnd(t *testing.T) {
	files := newMemory()
	all := numbered("a", 20_000)
	for _, c := range []string{"b", "y"} {
		all[strings.Repeat(c, 1024)] = all["a000000"]
	}
	for _, breaks := range []partition.Breaks{{MaxSize: 1 << 30, Raggedness: 1 << 60}, {MaxSize: 300, Raggedness: 50}} {
		for _, r := range all.ranges(t, files, breaks) {
			read := &counting{Parts: files}
			files.forget()
			if got, err := metarange.Describe(t.Context(), read, r.ID); err != nil || got != r {
				t.Fatalf("%+v, %v, want %+v", got, err, r)
			}
			if len(files.got) != 2 || read.bytes > 8<<10+1 {
				t.Fatalf("%d reads of %d bytes", len(files.got), read.bytes)
			}
		}
	}
	if _, err := metarange.Describe(t.Context(), files, strings.Repeat("0", 64)); !errors.Is(err, errMissing) {
		t.Errorf("a range that is not there: %v", err)
	}
}
