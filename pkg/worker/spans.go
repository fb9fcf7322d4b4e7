package worker

import (
	"context"
	"math/bits"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// spans are the spans of one delivery: a trace of its own, with a link to the import. A nil one
// does nothing: the import is not recorded. The methods may be called concurrently.
//
// The root of the trace is the receipt, which is over at once. Everything else is a child of it,
// and ends after it. So a worker that is killed leaves no span without its parent.
type spans struct {
	tracer  trace.Tracer
	now     func() time.Time
	receipt context.Context // holds the root
	process trace.Span      // from the receipt to the end

	mu    sync.Mutex
	pages int
	keys  int64
	mark  time.Time // when the last range was covered, at first when the partition was received
}

// newSpans begins the spans of a delivery.
func newSpans(t trace.Tracer, now func() time.Time, lane queue.Lane, task *queue.Task) *spans {
	if task.Trace.ID() == "" {
		return nil
	}
	id := tracing.With(tracing.ImportID.String(task.Partition.ImportID), tracing.PartitionID.String(task.Partition.ID), tracing.Deliveries.Int(task.Deliveries))
	on := func(o tracing.Operation) []trace.SpanStartOption {
		return append(o.On(queue.Name, queue.Subjects, lane.Consumer()), id, trace.WithTimestamp(task.Received))
	}
	receipt, root := t.Start(context.Background(), tracing.Receive.Span(queue.Name), append(on(tracing.Receive), trace.WithLinks(tracing.Import(task.Trace)))...)
	root.End()
	s := &spans{tracer: t, now: now, receipt: receipt, mark: task.Received}
	_, s.process = t.Start(receipt, tracing.Handle.Span(queue.Name), on(tracing.Handle)...) //nolint:spancheck // method end ends it
	return s
}

// page notes a page of keys that was listed. Pages 1, 2, 4, 8 and so on are events of the
// delivery: their number stays small, and the first pages, which tell most, are all there.
func (s *spans) page(keys int) {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.pages++
	s.keys += int64(keys)
	pages, all := s.pages, s.keys
	s.mu.Unlock()
	if bits.OnesCount(uint(pages)) == 1 {
		s.process.AddEvent("page", trace.WithAttributes(tracing.Pages.Int(pages), tracing.Keys.Int64(all)))
	}
}

// covered makes the span of a range whose cover was stored: it begins when the range before was
// covered.
func (s *spans) covered(r *partition.RangeMetadata) {
	if s == nil || r == nil {
		return
	}
	s.mu.Lock()
	begun := s.mark
	s.mark = s.now()
	ended := s.mark
	s.mu.Unlock()
	tracing.Past(s.receipt, s.tracer, "write range", begun, ended, nil,
		tracing.With(tracing.RangeID.String(r.ID), tracing.Keys.Int64(r.Count), tracing.Bytes.Int64(int64(r.EstimatedSize))))
}

// send runs what queues a part of the partition for others.
func (s *spans) send(part partition.Partition, publish func() error) error {
	if s == nil {
		return publish()
	}
	return tracing.Step(s.receipt, s.tracer, tracing.Send.Span(queue.Name), publish,
		append(tracing.Send.On(queue.Name, queue.Subjects, ""), tracing.With(tracing.ImportID.String(part.ImportID), tracing.PartitionID.String(part.ID)))...)
}

// end ends the delivery.
func (s *spans) end(outcome string, err error) {
	if s == nil {
		return
	}
	s.mu.Lock()
	pages, keys := s.pages, s.keys
	s.mu.Unlock()
	s.process.SetAttributes(tracing.Outcome.String(outcome), tracing.Pages.Int(pages), tracing.Keys.Int64(keys))
	tracing.Fail(s.process, err)
	s.process.End()
}
