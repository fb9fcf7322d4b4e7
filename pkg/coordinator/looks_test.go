package coordinator

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// slowFile is the file of one range under any ID, in a store that answers late. It counts the
// reads at a time.
type slowFile struct {
	data      []byte
	late      time.Duration
	now, most atomic.Int64
}

func (s *slowFile) GetRange(ctx context.Context, _ string, offset, n int64) (part []byte, size int64, err error) {
	s.most.Store(max(s.most.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	select {
	case <-time.After(s.late):
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	size = int64(len(s.data))
	return s.data[offset:min(size, offset+n)], size, nil
}

// The files of the most ranges that a request may have are compared if the store answers
// within 170 ms: those of a tenth if it takes 1.7 s. If it is slower, the fault says how many
// were compared. Requests share the number of reads at a time.
func TestRangesAreComparedInTime(t *testing.T) {
	w := table.NewWriter(table.Ranges)
	if err := w.Add([]byte("key"), []byte("value")); err != nil {
		t.Fatal(err)
	}
	tab := w.Close()
	ranges := make([]partition.RangeMetadata, limits.Ranges/10)
	for i := range ranges {
		ranges[i] = tab.Meta
	}
	for _, tc := range []struct {
		late     time.Duration
		requests int
		ok       bool
	}{{1700 * time.Millisecond, 1, true}, {850 * time.Millisecond, 2, true}, {1800 * time.Millisecond, 1, false}, {time.Hour, 1, false}} {
		synctest.Test(t, func(t *testing.T) {
			store, l := &slowFile{data: tab.Data, late: tc.late}, newLooks()
			errs := make(chan error)
			begun := time.Now()
			for range tc.requests {
				go func() { errs <- l.checkFiles(t.Context(), store, ranges) }()
			}
			for range tc.requests {
				err := <-errs
				if tc.ok && err != nil {
					t.Errorf("%v a read: %v", tc.late, err)
				}
				if want := fmt.Sprintf(" of %d were compared", len(ranges)); !tc.ok && (!fault.Is(err, fault.Later) || !strings.Contains(err.Error(), want)) {
					t.Errorf("%v a read: %v, want a fault with %q", tc.late, err, want)
				}
			}
			if took := time.Since(begun); took > limits.RangesTime*time.Second {
				t.Errorf("%v a read: it took %v", tc.late, took)
			}
			if most := store.most.Load(); most > limits.RangeFiles {
				t.Errorf("%d reads at a time, want at most %d", most, limits.RangeFiles)
			}
		})
	}
}
