package worker

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// reported is a reporter, with a clock and what it sent.
type reported struct {
	*reporter
	t    *testing.T
	now  time.Time
	sent []progress.Report
}

func newReported(t *testing.T) *reported {
	r := &reported{t: t, now: time.Unix(0, 0)}
	r.reporter = &reporter{now: func() time.Time { return r.now }, send: func(p progress.Report) { r.sent = append(r.sent, p) }}
	return r
}

// sends checks the last report, whose number is also that of all reports.
func (r *reported) sends(when string, want progress.Report) {
	r.t.Helper()
	if want.Number = int64(len(r.sent)); len(r.sent) == 0 || r.sent[len(r.sent)-1] != want {
		r.t.Errorf("%s: %+v were sent, want the last to be %+v", when, r.sent, want)
	}
}

// hasSent checks how many reports there are.
func (r *reported) hasSent(when string, want int) {
	r.t.Helper()
	if len(r.sent) != want {
		r.t.Errorf("%s: %d reports, want %d", when, len(r.sent), want)
	}
}

func TestReports(t *testing.T) {
	r := newReported(t)
	r.beat()
	r.hasSent("before anything is listed", 0)
	r.begin("a")
	r.take(3, []byte("d"))
	if !r.due() {
		t.Error("no report is due after the first page")
	}
	guess := progress.NewGuess(5, 10, 20)
	r.listed(guess)
	r.hasSent("after the first page", 1)
	r.sends("after the first page", progress.Report{State: progress.Listing, Span: partition.Span{After: "a", Upto: "d"}, Keys: 3, Left: guess})
	if r.due() {
		t.Error("a report is due at once after another one")
	}
	r.beat()
	r.hasSent("at once after another one", 1)

	r.now = r.now.Add(reportEvery)
	r.repeated(fmt.Errorf("call: %w", objectstore.ErrThrottled))
	r.repeated(errors.New("cut off"))
	r.take(4, []byte("h"))
	r.cover(partition.Cover{Span: partition.Span{After: "a", Upto: "e"}, Range: &partition.RangeMetadata{Count: 4}})
	r.beat()
	want := progress.Report{State: progress.Listing, Span: partition.Span{After: "e", Upto: "h"}, Keys: 3, Left: guess, Throttles: 1, Retries: 2}
	r.hasSent("after a cover", 2)
	r.sends("after a cover", want)

	r.cover(partition.Cover{Span: partition.Span{After: "e", Upto: "h"}, Range: &partition.RangeMetadata{Count: 3}})
	r.listed(guess)
	want.Span, want.Keys = partition.Span{}, 0
	r.sends("when all is covered", want)

	r.take(2, []byte("k"))
	r.end(progress.Waiting)
	want.State, want.Left.Keys = progress.Waiting, guess.Keys+2
	r.sends("when it is handed back", want)
	r.end(progress.Over)
	want.State, want.Left = progress.Over, guess
	r.sends("in the end", want)
	for _, got := range r.sent {
		if err := got.Check(); err != nil {
			t.Errorf("%+v: %v", got, err)
		}
	}
}
