package coordinator

import (
	"maps"
	"sync"
)

// broken are the records that cannot be decoded, as of the last look at all of a bucket.
// It is safe for concurrent use. The zero broken are none.
type broken struct {
	mu sync.Mutex
	of map[string]map[string]string // bucket -> ID -> problem
}

// set replaces those of a bucket, and returns the ones that are new.
func (b *broken) set(bucket string, now map[string]string) (news map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.of[bucket]
	news = maps.Clone(now)
	maps.DeleteFunc(news, func(id, problem string) bool { return old[id] == problem })
	if b.of == nil {
		b.of = make(map[string]map[string]string)
	}
	b.of[bucket] = now
	return news
}

// noteBroken notes all records of a bucket that cannot be decoded, by ID, and tells of
// those that were not told yet. Nothing else waits for them.
func (s *Service) noteBroken(bucket string, now map[string]string) {
	for id, problem := range s.broken.set(bucket, now) {
		s.cfg.Log.Error("record cannot be decoded, and is left out", "bucket", bucket, "id", id, "err", problem)
	}
	s.metrics.broken.WithLabelValues(bucket).Set(float64(len(now)))
}
