package lakefs_test

import (
	"bytes"
	"testing"

	theirs "github.com/treeverse/lakefs/pkg/ident"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/ident"
)

// Rangefleet and lakeFS compute the same identity for any sequence of items.
func TestIdentities(t *testing.T) {
	rng := seeded.Rand(t)
	for range 500 {
		var ours ident.Writer
		lakefs := theirs.NewAddressWriter()
		for range rng.IntN(6) {
			var words []string
			pairs := map[string]string{}
			for _, e := range entrytest.Random(rng, rng.IntN(5)) {
				words = append(words, e.Key)
				pairs[e.Key] = e.ETag
			}
			n, s := rng.Int64()-rng.Int64(), entrytest.Random(rng, 1)[0].Key
			switch rng.IntN(5) {
			case 0:
				ours.Bytes([]byte(s))
				lakefs.MarshalBytes([]byte(s))
			case 1:
				ours.String(s)
				lakefs.MarshalString(s)
			case 2:
				ours.Int64(n)
				lakefs.MarshalInt64(n)
			case 3:
				ours.StringSlice(words)
				lakefs.MarshalStringSlice(words)
			case 4:
				ours.StringMap(pairs)
				lakefs.MarshalStringMap(pairs)
			}
		}
		if got, want := ours.Sum(), lakefs.Identity(); !bytes.Equal(got, want) {
			t.Fatalf("identity %x, want %x", got, want)
		}
	}
}
