// Package sha256x2 computes a SHA-256 sum and, beside it, the sums of other short
// messages in the time that it takes itself: each round of a hash waits for the
// round before, and a processor with instructions for them has time for another
// hash meanwhile. Without such instructions it is crypto/sha256.
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

// enough is how many bytes a Digest collects before it hashes them by themselves.
const enough = 4 << 10

// state is that of a hash, in the order of the instructions: words F, E, B, A, H,
// G, D and C.
type state [8]uint32

// initial is the state of a hash of nothing.
var initial = state{0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667, 0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}

func (s *state) sum() (sum [Size]byte) {
	for i, word := range [8]int{3, 2, 7, 6, 1, 0, 5, 4} {
		binary.BigEndian.PutUint32(sum[4*i:], s[word])
	}
	return sum
}

// Digest is the hash of a message that comes in parts. It must be Reset before it
// is used. It is for one goroutine.
type Digest struct {
	state state
	done  uint64 // bytes in state
	tail  []byte // bytes of the message not yet hashed: from `from` on
	from  int

	other   state               // of the message beside
	padded  [3 * blockSize]byte // its end
	without hash.Hash           // hashes, if there are no instructions
}

// Reset starts a new message.
func (d *Digest) Reset() {
	d.state, d.done, d.tail, d.from = initial, 0, d.tail[:0], 0
	if !fast {
		d.without = sha256.New()
	}
}

// Buffer returns bytes to append a part of the message to. Extend takes the result.
func (d *Digest) Buffer() []byte { return d.tail }

// Extend makes what was appended to the Buffer a part of the message.
func (d *Digest) Extend(buffer []byte) {
	d.tail = buffer
	if len(d.tail)-d.from < enough {
		return
	}
	if !fast {
		d.without.Write(d.tail)
		d.tail = d.tail[:0]
		return
	}
	n := (len(d.tail) - d.from) / blockSize
	d.other = initial
	d.hash(&d.tail[d.from], n) // what there is to be beside itself
	rest := copy(d.tail, d.tail[d.from:])
	d.tail, d.from = d.tail[:rest], 0
}

// hash hashes n blocks of the tail, beside n at p.
func (d *Digest) hash(p *byte, n int) {
	blocks(&d.state, &d.tail[d.from], &d.other, p, n)
	d.from += n * blockSize
	d.done += uint64(n) * blockSize
}

// Beside returns the sum of another message. It does not change d but for what it
// has hashed already.
func (d *Digest) Beside(message []byte) [Size]byte {
	if !fast || len(message) > len(d.padded)-9 {
		return sha256.Sum256(message)
	}
	n := (len(message) + 9 + blockSize - 1) / blockSize
	rest := d.padded[copy(d.padded[:], message) : n*blockSize]
	clear(rest)
	rest[0] = 0x80
	binary.BigEndian.PutUint64(rest[len(rest)-8:], 8*uint64(len(message)))
	d.other = initial
	both := min(n, (len(d.tail)-d.from)/blockSize)
	if both > 0 {
		d.hash(&d.padded[0], both)
	}
	if both < n {
		spare := initial
		blocks(&d.other, &d.padded[both*blockSize], &spare, &d.padded[both*blockSize], n-both)
	}
	return d.other.sum()
}

// Sum returns the sum of the message so far.
func (d *Digest) Sum() [Size]byte {
	if !fast {
		d.without.Write(d.tail[d.from:])
		d.tail = d.tail[:0]
		return [Size]byte(d.without.Sum(nil))
	}
	length := d.done + uint64(len(d.tail)-d.from)
	end := append(append([]byte(nil), d.tail[d.from:]...), 0x80)
	for len(end)%blockSize != blockSize-8 {
		end = append(end, 0)
	}
	end = binary.BigEndian.AppendUint64(end, 8*length)
	s, spare := d.state, initial
	blocks(&s, &end[0], &spare, &end[0], len(end)/blockSize)
	return s.sum()
}
