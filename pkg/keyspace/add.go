package keyspace

import (
	"bytes"
	"math"
)

// precision is how many digits of a sum are kept below its first.
const precision = 3

// Add returns the key that lies the distance, a natural logarithm, above k, to a
// few digits, or false if the alphabet has no room for it. The key is valid UTF-8
// if k is; rounding may leave it at or below k.
func (a *Alphabet) Add(k string, distance float64) (string, bool) {
	first := 0
	for first < len(a.weights) && a.weights[first] > distance {
		first++
	}
	if first == len(a.weights) {
		return "", false
	}
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
	top := first
	for i := last; i >= 0; i-- { // carry
		size := max(1, a.sets[i].size())
		if sum[i] < size {
			continue
		}
		if i == 0 {
			return "", false
		}
		sum[i-1] += sum[i] / size
		sum[i] %= size
		top = min(top, i-1)
	}
	at := a.base + top
	if at > len(k) {
		return "", false
	}
	b := append(make([]byte, 0, at+precision+4), k[:at]...)
	for i := top; i <= last; i++ {
		if a.sets[i].size() == 0 {
			break
		}
		b = append(b, a.sets[i].at(sum[i]))
	}
	return Valid(b), true
}

// Tops returns guesses at where the keys end that begin like k: each has twice
// as many greatest bytes as the one before, is greater than k, and
// valid UTF-8 if k is.
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
