package sha256x2_test

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"github.com/rangefleet/rangefleet/internal/sha256x2"
)

// TestTwin compares the sums of messages, written in parts of any length, with crypto/sha256.
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
	check := func(a, b []byte, gotA, gotB [sha256x2.Size]byte) {
		t.Helper()
		if gotA != sha256.Sum256(a) || gotB != sha256.Sum256(b) {
			t.Fatalf("sums of %d and %d bytes: %x and %x, want %x and %x", len(a), len(b), gotA, gotB, sha256.Sum256(a), sha256.Sum256(b))
		}
	}
	var p sha256x2.Pair
	for range 500 {
		p.Reset()
		var a, b []byte
		for range r.IntN(40) {
			partA, partB := random(r.IntN(1+r.IntN(400))), random(r.IntN(1+r.IntN(400)))
			a, b = append(a, partA...), append(b, partB...)
			p.Write(partA, partB)
		}
		gotA, gotB := p.Sums()
		check(a, b, gotA, gotB)
		a, b = random(r.IntN(200)), random(r.IntN(200))
		gotA, gotB = sha256x2.Sums(a, b)
		check(a, b, gotA, gotB)
	}
}

// BenchmarkPair hashes two messages of 64 KiB, one after another and at once.
func BenchmarkPair(b *testing.B) {
	part, other := make([]byte, 64<<10), make([]byte, 64<<10)
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(part) + len(other)))
			for b.Loop() {
				f()
			}
		})
	}
	run("crypto", func() {
		sha256.Sum256(part)
		sha256.Sum256(other)
	})
	run("x2", func() { sha256x2.Sums(part, other) })
	run("alone", func() {
		sha256x2.Sums(part, nil)
		sha256x2.Sums(nil, other)
	})
}

// BenchmarkShort hashes two messages of the size of the inputs of identities.
func BenchmarkShort(b *testing.B) {
	part, other := make([]byte, 64), make([]byte, 64)
	b.Run("crypto", func(b *testing.B) {
		for b.Loop() {
			sha256.Sum256(part)
			sha256.Sum256(other)
		}
	})
	b.Run("x2", func(b *testing.B) {
		for b.Loop() {
			sha256x2.Sums(part, other)
		}
	})
}
