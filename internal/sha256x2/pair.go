// Package sha256x2 computes two SHA-256 sums at once, in 1.3 times the time of one. Each
// round of a hash depends on the round before, so that a processor with SHA instructions can
// interleave two hashes. Without such instructions it uses crypto/sha256.
//
// See FIPS 180-4, and for the instructions
// https://www.intel.com/content/www/us/en/developer/articles/technical/intel-sha-extensions.html.
package sha256x2

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Size is the length of a sum in bytes.
const Size = sha256.Size

const blockSize = sha256.BlockSize

// state is the state of a hash in the order of the instructions: the words F, E, B, A, H, G, D and
// C.
type state [8]uint32

// initial is the initial state of a hash.
var initial = state{0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}

// Pair hashes two messages that are written in parts. It must be Reset before use, and must
// not be used concurrently.
type Pair struct{ a, b lane }

// Reset starts new messages.
func (p *Pair) Reset() {
	p.a.reset()
	p.b.reset()
}

// Write adds a part to each of the messages. It is fastest if the parts have the same
// length.
func (p *Pair) Write(a, b []byte) {
	if !fast {
		p.a.without.Write(a)
		p.b.without.Write(b)
		return
	}
	a, b = p.hash(p.a.fill(a), p.b.fill(b))
	p.a.keep(a)
	p.b.keep(b)
}

// Sums returns the sums of the messages. Nothing can be written afterwards.
func (p *Pair) Sums() (a, b [Size]byte) {
	if !fast {
		return [Size]byte(p.a.without.Sum(nil)), [Size]byte(p.b.without.Sum(nil))
	}
	p.hash(p.a.end(), p.b.end())
	return p.a.state.sum(), p.b.state.sum()
}

// Sums returns the sums of two messages. It is optimized for short ones.
func Sums(a, b []byte) (sumA, sumB [Size]byte) {
	n := paddedLen(len(a))
	if !fast || n > maxShort || n != paddedLen(len(b)) {
		return sha256.Sum256(a), sha256.Sum256(b)
	}
	var endA, endB [maxShort]byte
	pad(endA[:n], copy(endA[:], a), len(a))
	pad(endB[:n], copy(endB[:], b), len(b))
	stateA, stateB := initial, initial
	blocks2(&stateA, &endA[0], &stateB, &endB[0], n/blockSize)
	return stateA.sum(), stateB.sum()
}

// maxShort is the length of the longest padded message that Sums hashes without a Pair.
const maxShort = 2 * blockSize

// paddedLen returns the length of a message of n bytes with its padding.
func paddedLen(n int) int { return (n + 9 + blockSize - 1) / blockSize * blockSize }

// pad completes the end of a message of n bytes. end holds the last bytes of the message, up
// to at, followed by zeros.
func pad(end []byte, at, n int) {
	end[at] = 0x80
	binary.BigEndian.PutUint64(end[len(end)-8:], 8*uint64(n))
}

// hash hashes whole blocks and returns what follows them.
func (p *Pair) hash(a, b []byte) (restA, restB []byte) {
	if n := min(len(a), len(b)) / blockSize; n > 0 {
		blocks2(&p.a.state, &a[0], &p.b.state, &b[0], n)
		a, b = a[n*blockSize:], b[n*blockSize:]
	}
	return p.a.hash(a), p.b.hash(b)
}

// lane is the hash of one message.
type lane struct {
	state   state
	length  uint64              // of the message so far, in bytes
	tail    [2 * blockSize]byte // the bytes of an incomplete block, or the padded end
	without hash.Hash           // used if there are no instructions
}

func (l *lane) reset() {
	l.state, l.length = initial, 0
	if !fast {
		l.without = sha256.New()
	}
}

// pending returns how many bytes the tail holds.
func (l *lane) pending() int { return int(l.length % blockSize) }

// fill completes the block that the tail begins, and returns the rest of part.
func (l *lane) fill(part []byte) []byte {
	begun := l.pending()
	l.length += uint64(len(part))
	if begun == 0 {
		return part
	}
	n := copy(l.tail[begun:blockSize], part)
	if begun+n == blockSize {
		l.hash(l.tail[:blockSize])
	}
	return part[n:]
}

// hash hashes whole blocks and returns what follows them.
func (l *lane) hash(part []byte) []byte {
	n := len(part) / blockSize
	if n > 0 {
		blocks1(&l.state, &part[0], n)
	}
	return part[n*blockSize:]
}

// keep stores the bytes after the last whole block in the tail.
func (l *lane) keep(rest []byte) {
	if len(rest) > 0 {
		copy(l.tail[:], rest)
	}
}

// end pads the message and returns its last blocks.
func (l *lane) end() []byte {
	at := l.pending()
	end := l.tail[:paddedLen(at)]
	clear(end[at:])
	pad(end, at, int(l.length))
	return end
}

func (s *state) sum() (sum [Size]byte) {
	const f, e, b, a, h, g, d, c = 0, 1, 2, 3, 4, 5, 6, 7
	for i, word := range [...]uint32{s[a], s[b], s[c], s[d], s[e], s[f], s[g], s[h]} {
		binary.BigEndian.PutUint32(sum[4*i:], word)
	}
	return sum
}
