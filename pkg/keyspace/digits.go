package keyspace

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
