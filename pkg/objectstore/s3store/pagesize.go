package s3store

import "sync"

// MaxPageKeys is the largest page that S3 lists.
const MaxPageKeys = 1000

// pageSize is how many keys the pages of a bucket are asked for. Where pages do not
// come in time it halves, and after a run of good pages it doubles again. It is safe
// for concurrent use.
type pageSize struct {
	mu    sync.Mutex
	most  int  // set before its first use
	keys  int  // at most most; 0 is most
	late  int  // pages of this size in a row that did not come in time
	good  int  // pages of this size that came since it was reached
	after int  // good pages before it doubles
	grown bool // it was doubled, and is on trial
}

// The patience of a pageSize. Whatever is too large once more after it was doubled is
// tried again much later.
const (
	lateToShrink  = 2 // pages in a row of the size that is asked for first; one may be a hiccup
	goodToGrow    = 64
	maxGoodToGrow = 1 << 14
)

// now returns the keys to ask for.
func (s *pageSize) now() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current()
}

func (s *pageSize) current() int {
	if s.keys == 0 {
		return s.most
	}
	return s.keys
}

// tooLate notes that a page of so many keys did not come in time, and reports whether
// pages are smaller from now on. What was asked for at another size says nothing.
func (s *pageSize) tooLate(keys int) (smaller bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if keys != s.current() {
		return false
	}
	s.late++
	first := keys == s.most && !s.grown
	if keys == 1 || first && s.late < lateToShrink {
		return false
	}
	s.after = max(s.after, goodToGrow)
	if s.grown {
		s.after = min(2*s.after, maxGoodToGrow)
	}
	s.keys, s.late, s.good, s.grown = keys/2, 0, 0, false
	return true
}

// inTime notes that a page of so many keys came, and reports whether pages are larger
// from now on.
func (s *pageSize) inTime(keys int) (larger bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if keys != s.current() {
		return false
	}
	s.late = 0
	if keys == s.most && !s.grown {
		return false
	}
	if s.good++; s.good < s.after {
		return false
	}
	s.good, s.grown = 0, keys < s.most
	s.keys = min(2*keys, s.most)
	return keys < s.most
}
