package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// How long the record of an import that has ended is kept: for both times.
const (
	keepEnded = 24 * time.Hour // after it ended
	keepSeen  = time.Hour      // after this process saw that it has ended, whatever clocks say
)

// cleanup removes what imports that have ended leave behind: messages in the queue,
// covers in memory, and, after keepEnded, their records. Its methods may be called
// concurrently, but for sweep.
type cleanup struct {
	imports   *imports.Store
	discard   func(ctx context.Context, id string) error        // an import's messages
	release   func(ctx context.Context, r imports.Record) error // what an import left where repositories are kept
	followers *follow.Followers
	forgotten prometheus.Counter
	now       func() time.Time
	log       *slog.Logger

	mu    sync.Mutex
	ended map[string]end // the imports that are known to have ended

	swept uint64 // number of the survey that was swept last; for sweep alone
}

type end struct {
	at    time.Time // by the clock of the process that ended it
	seen  time.Time // by the clock of this process
	state imports.State
	trace tracing.Place
}

// lately reports whether the import ended so lately that its record is kept.
func (e end) lately(now time.Time) bool {
	return now.Sub(e.at) < keepEnded || now.Sub(e.seen) < keepSeen
}

func (c *cleanup) hasEnded(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ended := c.ended[id]
	return ended
}

// counts returns how many imports are known to have ended, by state, and when the last one was
// completed; zero if none was.
func (c *cleanup) counts() (n map[imports.State]int, completed time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = make(map[imports.State]int)
	for _, e := range c.ended {
		n[e.state]++
		if e.state == imports.Completed && e.at.After(completed) {
			completed = e.at
		}
	}
	return n, completed
}

// read reads the record of an import, unless the import is known to have ended lately, and
// retires the import if it has ended. An import that has no record any more has ended.
func (c *cleanup) read(ctx context.Context, id string) (imports.Record, error) {
	c.mu.Lock()
	e, ended := c.ended[id]
	c.mu.Unlock()
	if ended && e.lately(c.now()) {
		return imports.Record{State: e.state, Trace: e.trace}, nil
	}
	record, err := c.imports.Get(ctx, id)
	if fault.Is(err, fault.NotFound) {
		c.followers.Unfollow(id)
		return imports.Record{State: imports.Canceled}, nil
	}
	if err == nil && record.State.Ended() {
		err = c.retire(ctx, record)
	}
	return record, err
}

// retire records that an import has ended, unless that is known, stops following it, and
// deletes its record once that is due.
func (c *cleanup) retire(ctx context.Context, r imports.Record) error {
	id, now := r.Job.ImportID, c.now()
	c.mu.Lock()
	e, again := c.ended[id]
	if !again {
		e = end{r.Updated, now, r.State, r.Trace}
		c.ended[id] = e
	}
	c.mu.Unlock()
	c.followers.Unfollow(id) // after it is recorded; see Service.follow
	if e.lately(now) {
		return nil
	}
	if err := errors.Join(c.discard(ctx, id), c.release(ctx, r)); err != nil {
		return err
	}
	if err := c.imports.Delete(ctx, r); err != nil {
		return err
	}
	c.forgotten.Inc()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ended, id)
	return nil
}

// keep forgets all imports but those of the sorted IDs: a peer has deleted their records.
// An import that ended since the IDs were read is recorded again.
func (c *cleanup) keep(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.ended, func(id string, _ end) bool { return !listed(ids, id) })
}

// listed reports whether the sorted IDs hold an ID.
func listed(ids []string, id string) bool {
	_, found := slices.BinarySearch(ids, id)
	return found
}

// sweep discards messages of imports that have ended, or have no record: their coordinator
// died before its last step, or a process that was cut off stored them late. The IDs may
// be outdated, so for an import that is not among them the record is read, which is stored
// before the first message. Each survey is swept once, since it does not tell what is in
// the queue later.
func (c *cleanup) sweep(ctx context.Context, seen *survey, ids []string) error {
	if seen == nil || seen.number == c.swept {
		return nil
	}
	queued := slices.AppendSeq(slices.Collect(maps.Keys(seen.Partitions)), maps.Keys(seen.Covers))
	slices.Sort(queued)
	var errs []error
	for _, id := range slices.Compact(queued) {
		if listed(ids, id) && !c.hasEnded(id) {
			continue
		}
		record, err := c.read(ctx, id)
		if fault.Is(err, fault.Broken) {
			continue // the supervisor reports it
		}
		if errs = append(errs, err); err != nil || !record.State.Ended() {
			continue
		}
		c.log.DebugContext(record.Trace.In(ctx), "discard the messages of an import that has ended", "import_id", id)
		errs = append(errs, c.discard(ctx, id))
	}
	err := errors.Join(errs...)
	if err == nil {
		c.swept = seen.number
	}
	return err
}
