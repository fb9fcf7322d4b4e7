package coordinator

import (
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// brokenRecords are the records that cannot be decoded, as of the last look at all
// records of a bucket. They are logged and counted, and nothing waits for them. Its
// methods may be called concurrently.
type brokenRecords struct {
	shown *prometheus.GaugeVec // by bucket
	log   *slog.Logger

	mu sync.Mutex
	of map[string]map[string]string // bucket -> ID -> problem
}

// note records all broken records of a bucket, by ID, and logs the new ones.
func (b *brokenRecords) note(bucket string, now map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, problem := range now {
		if b.of[bucket][id] != problem {
			b.log.Error("record cannot be decoded, and is left out", "bucket", bucket, "id", id, "err", problem)
		}
	}
	if b.of == nil {
		b.of = make(map[string]map[string]string)
	}
	b.of[bucket] = now
	b.shown.WithLabelValues(bucket).Set(float64(len(now)))
}
