package keyspace

import (
	"bytes"
	"math"
)

// precision is how many digits of a sum are kept below its first.
const precision = 3

// Add returns the key at a distance above k, to a few digits, or false if the alphabet has no
// room for it. The distance is a natural logarithm, as that of Distance. The key is valid
// UTF-8 if k is; rounding may leave it at or below k.
func (a *Alphabet) Add(k string, distance float64) (string, bool) {
	first := 0
	for first < len(a.weights) && a.weights[first] > distance {
		first++
	}
	if first == len(a.weights) {
		return "", false
	}
	sum := a.sum(k, distance, first)
	top, ok := a.carry(sum, first)
	at := a.base + top
	if !ok || at > len(k) {
		return "", false
	}
	b := append(make([]byte, 0, at+precision+4), k[:at]...)
	for i := top; i < len(sum) && a.sets[i].size() > 0; i++ {
		b = append(b, a.sets[i].at(sum[i]))
	}
	return Valid(b), true
}

// sum adds the distance, whose first digit is given, to the digits of k. It returns the
// digits from the base to a few below the first one; any may be too large for its offset.
func (a *Alphabet) sum(k string, distance float64, first int) []int {
	last := min(first+precision, len(a.weights)-1)
	sum := make([]int, last+1)
	for i := range sum {
		sum[i] = a.digit(k, a.base+i)
	}
	rest := distance
	for i := first; i <= last; i++ {
		d := math.Floor(math.Exp(rest-a.weights[i]) + 1e-9)
		sum[i] += int(d)
		left := math.Exp(rest-a.weights[i]) - d
		if left <= 1e-9 {
			break
		}
		rest = a.weights[i] + math.Log(left)
	}
	return sum
}

// carry makes the digits of a sum fit their offsets. It returns the first one that the
// addition changed, or false if the sum has no room.
func (a *Alphabet) carry(sum []int, first int) (top int, ok bool) {
	top = first
	for i := len(sum) - 1; i >= 0; i-- {
		size := max(1, a.sets[i].size())
		if sum[i] < size {
			continue
		}
		if i == 0 {
			return 0, false
		}
		sum[i-1] += sum[i] / size
		sum[i] %= size
		top = min(top, i-1)
	}
	return top, true
}

// Tops returns guesses at the end of the keys that begin like k. Each has four times as many
// greatest bytes at its end as the one before, is greater than k, and is valid UTF-8 if k is.
func (a *Alphabet) Tops(k string) (keys []string) {
	run := a.base
	for run < len(k) && run-a.base < len(a.sets) && a.digit(k, run) == a.sets[run-a.base].size()-1 {
		run++
	}
	if run-a.base >= len(a.sets) {
		return nil
	}
	set := &a.sets[run-a.base]
	top := set.at(set.size() - 1)
	if run > 0 {
		top = max(top, k[run-1])
	}
	for n := 1; n <= 256; n *= 4 {
		key := Valid(append([]byte(k[:run]), bytes.Repeat([]byte{top}, n)...))
		if key > k {
			keys = append(keys, key)
		}
	}
	return keys
}

// Size returns how many digits the alphabet knows at an offset, 0 if none.
func (a *Alphabet) Size(at int) int {
	if at < a.base || at >= a.base+len(a.sets) {
		return 0
	}
	return a.sets[at-a.base].size()
}

// fine is the part of a digit below which Place and Key do not look.
const fine = 1e-4

// Place returns where key k lies among the keys that agree with it before an offset: its
// digit there, and what follows as a fraction of a digit.
func (a *Alphabet) Place(k string, at int) float64 {
	place, unit := 0.0, 1.0
	for at = max(at, a.base); at < len(k) && at < a.base+len(a.sets); at++ {
		place += unit * float64(a.digit(k, at))
		if at+1 >= a.base+len(a.sets) {
			break
		}
		if unit /= float64(max(1, a.Size(at+1))); unit < fine {
			break
		}
	}
	return place
}

// Key returns the first key at a place among the keys that begin with the first `at` bytes of
// k, to a few digits. It is the inverse of Place, and valid UTF-8 if k is. There is none if
// the alphabet does not reach so far.
func (a *Alphabet) Key(k string, at int, place float64) (string, bool) {
	if at < a.base || at > len(k) || place < 0 || place >= float64(a.Size(at)) {
		return "", false
	}
	b := append(make([]byte, 0, at+8), k[:at]...)
	for varied := 0; at < a.base+len(a.sets) && varied < precision; at++ {
		n := a.Size(at)
		if n == 0 {
			break
		}
		digit := min(int(place), n-1)
		b = append(b, a.sets[at-a.base].at(digit))
		if place -= float64(digit); place < fine {
			break
		}
		if n > 1 {
			varied++
		}
		place *= float64(max(1, a.Size(at+1)))
	}
	return Valid(b), true
}
