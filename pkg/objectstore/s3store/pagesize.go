package s3store

import "sync"

// maxPageKeys is the largest page that S3 lists.
const maxPageKeys = 1000

// pageSize decides how many keys a request for a page of a bucket asks for. The number
// halves when pages do not arrive in time, and doubles again after a run of good pages.
// It is safe for concurrent use.
type pageSize struct {
	mu    sync.Mutex
	most  int  // set before its first use
	keys  int  // the current size, at most most; 0 is most
	late  int  // pages of this size in a row that did not arrive in time
	good  int  // pages of this size that arrived since the size changed
	after int  // good pages before the size doubles
	grown bool // the size was doubled, and is on trial
}

// When a pageSize changes. A size that proves too large again after it was doubled is
// tried again much later.
const (
	lateToShrink  = 2 // pages in a row of the first size; a single one may be a hiccup
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

// tooLate records that a page of so many keys did not arrive in time, and reports whether
// the size is smaller from now on. It ignores pages of another size than the current one.
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

// inTime records that a page of so many keys arrived, and reports whether the size is
// larger from now on.
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
