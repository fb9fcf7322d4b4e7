package s3store

import (
	"sync"
	"sync/atomic"

	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// facts are what a process has learned about a bucket. All listings of the bucket share
// them. They are safe for concurrent use.
type facts struct {
	said   readings // of the keys in pages that say that they are URL-encoded
	unsaid readings // of the keys in other pages
	size   pageSize
	odd    streak
	region atomic.Pointer[string] // that AWS has redirected to; nil if it has not
}

// readings returns the possible readings of keys in pages that say that they are
// URL-encoded, or in other pages.
func (f *facts) readings(encoded bool) *readings {
	if encoded {
		return &f.said
	}
	return &f.unsaid
}

// readings is the set of ways to read keys that are still possible: all of them at first.
type readings struct{ excluded atomic.Uint32 }

func (r *readings) possible() listxml.Readings {
	return listxml.AnyReading &^ listxml.Readings(r.excluded.Load())
}

// narrow excludes all readings but those of the set.
func (r *readings) narrow(to listxml.Readings) { r.excluded.Or(uint32(listxml.AnyReading &^ to)) }

// maxKnown is how many buckets a process keeps facts about.
const maxKnown = 4096

// known are the facts of all buckets that a client has opened.
type known struct {
	mu      sync.Mutex
	buckets map[string]*facts
}

// of returns the facts about a bucket; fresh makes those of a new one. When there are too
// many buckets it forgets all of them: facts can be learned again.
func (k *known) of(bucket string, fresh func() *facts) *facts {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, ok := k.buckets[bucket]; ok {
		return f
	}
	if k.buckets == nil || len(k.buckets) >= maxKnown {
		k.buckets = make(map[string]*facts)
	}
	f := fresh()
	k.buckets[bucket] = f
	return f
}
