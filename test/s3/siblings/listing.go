package siblings

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Listing is a request for the keys with a prefix in (After, Upto]. An empty After or Upto is an
// open end.
type Listing struct {
	Prefix, After, Upto string
}

func (l Listing) String() string {
	return fmt.Sprintf("prefix %q, after %q, up to %q", l.Prefix, l.After, l.Upto)
}

// Holds reports whether the listing includes the key.
func (l Listing) Holds(key string) bool {
	return strings.HasPrefix(key, l.Prefix) && key > l.After && (l.Upto == "" || key <= l.Upto)
}

// Listing returns a random listing of the set. Its strings are keys, directories, and made-up
// strings near them.
func (s Set) Listing(r *rand.Rand) Listing {
	var l Listing
	if r.IntN(2) == 0 {
		l.Prefix = s.Place(r)
	}
	if r.IntN(4) > 0 {
		l.After = s.Place(r)
	}
	if r.IntN(3) == 0 {
		if upto := s.Place(r); upto > l.After {
			l.Upto = upto
		}
	}
	return l
}

// Place returns a random key or directory of the set, or a string near one. It is valid UTF-8, and
// may be empty.
func (s Set) Place(r *rand.Rand) string {
	key := s.Keys[r.IntN(len(s.Keys))]
	directory := key[:strings.LastIndex(key, "/")+1]
	character := near[r.IntN(len(near))]
	switch r.IntN(7) {
	case 0:
		return key
	case 1:
		return key + character
	case 2:
		return strings.ToValidUTF8(key[:r.IntN(len(key)+1)], "")
	case 3:
		return directory
	case 4:
		return strings.TrimSuffix(directory, "/")
	case 5:
		return strings.TrimSuffix(directory, "/") + character
	default:
		return directory + character
	}
}
