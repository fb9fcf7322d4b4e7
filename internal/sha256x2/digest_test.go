package sha256x2_test

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"github.com/rangefleet/rangefleet/internal/sha256x2"
)

// TestTwin holds sums of messages, in parts of any length, with others beside
// them, against crypto/sha256.
func TestTwin(t *testing.T) {
	const seed = 1
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	var d sha256x2.Digest
	for range 300 {
		d.Reset()
		var message []byte
		for range r.IntN(60) {
			if r.IntN(2) == 0 {
				part := random(r.IntN(1 + r.IntN(400)))
				message = append(message, part...)
				d.Extend(append(d.Buffer(), part...))
			}
			if r.IntN(20) == 0 {
				part := random(r.IntN(20_000))
				message = append(message, part...)
				d.Extend(append(d.Buffer(), part...))
			}
			other := random(r.IntN(1 + r.IntN(250)))
			if got, want := d.Beside(other), sha256.Sum256(other); got != want {
				t.Fatalf("%x beside, want %x", got, want)
			}
			if r.IntN(10) == 0 && d.Sum() != sha256.Sum256(message) {
				t.Fatalf("sum of %d bytes is wrong", len(message))
			}
		}
		if d.Sum() != sha256.Sum256(message) {
			t.Fatalf("sum of %d bytes is wrong", len(message))
		}
	}
}

// BenchmarkEntry hashes what one entry of a range takes: 266 bytes of a message,
// and another of 64 bytes.
func BenchmarkEntry(b *testing.B) {
	part, other := make([]byte, 266), make([]byte, 64)
	b.Run("crypto", func(b *testing.B) {
		h := sha256.New()
		var buf []byte
		for b.Loop() {
			if buf = append(buf, part...); len(buf) > 4096 {
				h.Write(buf)
				buf = buf[:0]
			}
			sha256.Sum256(other)
		}
	})
	b.Run("x2", func(b *testing.B) {
		var d sha256x2.Digest
		d.Reset()
		for b.Loop() {
			d.Extend(append(d.Buffer(), part...))
			d.Beside(other)
		}
	})
}
