package entry_test

import (
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/entry"
)

// One byte that is not ASCII is seen wherever it stands, and only in the
// entries that a batch has.
func TestASCII(t *testing.T) {
	if !(entry.Batch{}).ASCII() || !entrytest.Batch().ASCII() {
		t.Error("an empty batch is not ASCII")
	}
	for at := range 100 {
		for field := range 4 {
			texts := []string{strings.Repeat("k", 100), strings.Repeat("a", 100), strings.Repeat("e", 100), ""}
			texts[field] = texts[field][:min(at, len(texts[field]))] + "\x80" + texts[field][min(at, len(texts[field])):]
			b := entrytest.Batch(
				entry.Entry{Key: "a", Address: "a", ETag: strings.Repeat("x", at)},
				entry.Entry{Key: "b" + texts[0], Address: texts[1], ETag: texts[2]},
				entry.Entry{Key: "c\x7f", Address: "c"},
			)
			if want := field == 3; b.ASCII() != want {
				t.Errorf("byte 0x80 at %d of text %d: ASCII %t", at, field, !want)
			}
			for _, slice := range [][2]int{{0, 1}, {2, 3}, {1, 1}} {
				if s := b.Slice(slice[0], slice[1]); !s.ASCII() {
					t.Errorf("byte 0x80 outside of entries %v: not ASCII", slice)
				}
			}
		}
	}
}
