package lakefs_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	theirs "github.com/treeverse/lakefs/pkg/ident"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/ident"
)

// sum is an identity that is an item of another one.
type sum []byte

func (s sum) Identity() []byte { return s }

// Rangefleet and lakeFS compute the same identity for any sequence of items.
func TestIdentities(t *testing.T) {
	rng := seeded.Rand(t)
	for range 500 {
		var ours []byte
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
				ours = ident.AppendIdentity(ours, []byte(s))
				lakefs.MarshalIdentifiable(sum(s))
			case 1:
				ours = ident.AppendString(ours, s)
				lakefs.MarshalString(s)
			case 2:
				ours = ident.AppendInt64(ours, n)
				lakefs.MarshalInt64(n)
			case 3:
				ours = ident.AppendStringSlice(ours, words)
				lakefs.MarshalStringSlice(words)
			case 4:
				ours = ident.AppendStringMap(ours, pairs)
				lakefs.MarshalStringMap(pairs)
			}
		}
		if got, want := sha256.Sum256(ours), lakefs.Identity(); !bytes.Equal(got[:], want) {
			t.Fatalf("identity %x, want %x", got, want)
		}
	}
}
