package worker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// reportEvery is the least time between two reports of a delivery.
const reportEvery = time.Second

// reporter reports how far a delivery is, for the import's status. A report is broadcast after
// the first page, then once a second while pages come, and with each heartbeat. It is
// safe for concurrent use.
type reporter struct {
	now  func() time.Time
	send func(progress.Report)

	repeats   atomic.Int64 // calls to stores that were repeated
	throttles atomic.Int64 // those that a store refused for now

	mu      sync.Mutex
	report  progress.Report // its parts that do not change from report to report, and the last guess
	after   string          // where the last cover ends, or the owned keys begin
	upto    []byte          // the last owned key that was listed
	taken   int64           // owned keys that were listed
	covered int64           // of these, by covers
	sent    time.Time
}

func newReporter(d *delivery) *reporter {
	p := d.task.Partition
	r := &reporter{now: d.worker.now, send: func(report progress.Report) {
		if err := d.worker.cfg.Backend.Gossip.BroadcastReport(report); err != nil {
			d.log.DebugContext(d.task.Trace.In(context.Background()), "report how far a partition is", "err", err)
		}
	}}
	r.report = progress.Report{ImportID: p.ImportID, PartitionID: p.ID, Worker: d.worker.name, Delivery: xid.New().String()}
	if d.task.Deliveries > 1 {
		r.repeats.Store(1)
	}
	return r
}

// repeated counts a call that is repeated.
func (r *reporter) repeated(cause error) {
	r.repeats.Add(1)
	if errors.Is(cause, objectstore.ErrThrottled) {
		r.throttles.Add(1)
	}
}

// begin notes the boundary at which the owned keys begin.
func (r *reporter) begin(after string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after = after
}

// take notes that owned keys were listed.
func (r *reporter) take(n int, last []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken += int64(n)
	r.upto = append(r.upto[:0], last...)
}

// cover notes that a cover was stored.
func (r *reporter) cover(c partition.Cover) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after = c.Upto
	if c.Range != nil {
		r.covered += c.Range.Count
	}
}

// due reports whether it is time for a report.
func (r *reporter) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now().Sub(r.sent) >= reportEvery
}

// listed reports how much was listed, and a guess of what is left.
func (r *reporter) listed(left progress.Guess) {
	r.mu.Lock()
	r.report.Left = left
	report := r.current(progress.Listing)
	r.mu.Unlock()
	r.send(report)
}

// again reports that the deliveries before this one got no further.
func (r *reporter) again() {
	r.send(progress.Report{
		ImportID: r.report.ImportID, PartitionID: r.report.PartitionID, Worker: r.report.Worker, Delivery: r.report.Delivery, State: progress.Again,
	})
}

// beat repeats the last report, unless there was none or it was sent just now.
func (r *reporter) beat() {
	r.mu.Lock()
	if r.sent.IsZero() || r.now().Sub(r.sent) < reportEvery {
		r.mu.Unlock()
		return
	}
	report := r.current(progress.Listing)
	r.mu.Unlock()
	r.send(report)
}

// waits reports how many keys a part of the partition probably has, which was queued.
func (r *reporter) waits(part partition.Partition, left progress.Guess) {
	r.send(progress.Report{
		ImportID: part.ImportID, PartitionID: part.ID, Worker: r.report.Worker, Delivery: r.report.Delivery, State: progress.Waiting, Left: left,
	})
}

// end reports that the delivery has ended: its partition is over, or what it did not cover waits
// to be listed again.
func (r *reporter) end(state progress.State) {
	r.mu.Lock()
	report := r.current(state)
	r.mu.Unlock()
	if state == progress.Waiting {
		report.Left.Keys += report.Keys
	}
	report.Span, report.Keys = partition.Span{}, 0
	r.send(report)
}

// current returns the report of this moment. The caller holds the lock.
func (r *reporter) current(state progress.State) progress.Report {
	r.sent = r.now()
	r.report.Number++
	r.report.State = state
	r.report.Throttles, r.report.Retries = r.throttles.Load(), r.repeats.Load()
	r.report.Span, r.report.Keys = partition.Span{}, r.taken-r.covered
	if r.report.Keys > 0 {
		r.report.Span = partition.Span{After: r.after, Upto: string(r.upto)}
	}
	return r.report
}
