package s3store

import (
	"sync"
	"sync/atomic"

	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// facts are what a process has found out about a bucket, for all listings of it. They
// are safe for concurrent use.
type facts struct {
	said   readings // how keys are read of pages that are said to be URL-encoded
	unsaid readings // and of others
	size   pageSize
	odd    streak
	region atomic.Pointer[string] // where AWS says that the bucket is; nil if it is where it was looked for
}

// readings returns how keys are read of pages that say, or do not say, that they are
// URL-encoded.
func (f *facts) readings(encoded bool) *readings {
	if encoded {
		return &f.said
	}
	return &f.unsaid
}

// readings are the ways to read keys that are still possible: all of them at first.
type readings struct{ excluded atomic.Uint32 }

func (r *readings) possible() listxml.Readings {
	return listxml.AnyReading &^ listxml.Readings(r.excluded.Load())
}

// narrow excludes all readings but those of the set.
func (r *readings) narrow(to listxml.Readings) { r.excluded.Or(uint32(listxml.AnyReading &^ to)) }

// maxKnown bounds of how many buckets a process keeps facts.
const maxKnown = 4096

// known are the facts of all buckets that a client has opened.
type known struct {
	mu      sync.Mutex
	buckets map[string]*facts
}

// of returns the facts of a bucket; fresh makes those of a new one. When there are too
// many, all are forgotten: they can be found out again.
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
