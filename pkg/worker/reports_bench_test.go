package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// nowhere stores nothing.
type nowhere struct{}

func (nowhere) Put(context.Context, string, []byte, objectstore.Sum) error { return nil }

// BenchmarkReports writes pages of 1,000 keys, and between them does all that reports of progress and
// the span of a recorded delivery do for a page. percent is the time of the latter over that of
// writing alone, without listing.
func BenchmarkReports(b *testing.B) {
	const perPage, perReport = 1000, 100 // a slot lists some hundreds of pages a second
	var pages []entry.Batch
	for first := range 64 {
		builder := entry.NewBuilder()
		for i := first * perPage; i < (first+1)*perPage; i++ {
			key := fmt.Sprintf("collections/year=%d/part-%08d-%016x.parquet", 2000+i/8400, i, uint64(i)*0x9e3779b97f4a7c15)
			entrytest.Append(builder, entry.Entry{Key: key, Address: "s3://source/" + key, ETag: fmt.Sprintf("%032x", i), Size: int64(i), ModTime: time.Unix(int64(i), 0)})
		}
		pages = append(pages, builder.Batch())
	}
	r := &reporter{now: time.Now, send: func(p progress.Report) { _, _ = json.Marshal(p) }}
	place := tracing.Place{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	recorded := newSpans(tracing.Tracer(sdktrace.NewTracerProvider()), time.Now, queue.Bulk, &queue.Task{Trace: place, Received: time.Now()})
	var writing, reporting time.Duration
	var w *rangewriter.Writer
	for n := 0; b.Loop(); n++ {
		page := pages[n%len(pages)]
		if n%len(pages) == 0 {
			w = renewed(b, w)
		}
		begun := time.Now()
		if err := w.Write(page); err != nil {
			b.Fatal(err)
		}
		written := time.Now()
		recorded.page(perPage)
		r.take(perPage/2, page.Key(perPage/2-1)) // about a range ends in each page
		r.take(perPage/2, page.Key(perPage-1))
		if r.due() || n%perReport == 0 {
			r.listed(progress.NewGuess(1, 2, 3))
		}
		writing += written.Sub(begun)
		reporting += time.Since(written)
	}
	w.Close()
	b.ReportMetric(100*float64(reporting)/float64(writing), "percent")
	b.ReportMetric(float64(reporting.Nanoseconds())/float64(b.N), "ns/page")
}

// renewed returns a writer for keys from the first one on, in place of another one.
func renewed(b *testing.B, old *rangewriter.Writer) *rangewriter.Writer {
	if old != nil {
		if err := old.Flush(); err != nil {
			b.Fatal(err)
		}
		old.Close()
	}
	return rangewriter.New(b.Context(), nowhere{}, partition.DefaultBreaks, rangewriter.Options{Uploads: 2, Buffers: new(rangewriter.Buffers)})
}
