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

func TestReports(t *testing.T) {
	now := time.Unix(0, 0)
	var sent []progress.Report
	r := &reporter{now: func() time.Time { return now }, send: func(p progress.Report) { sent = append(sent, p) }}
	last := func() progress.Report { return sent[len(sent)-1] }
	if r.beat(); len(sent) != 0 {
		t.Fatal("a delivery that has listed nothing beats")
	}
	r.begin("a")
	r.take(3, []byte("d"))
	if !r.due() {
		t.Error("no report is due after the first page")
	}
	guess := progress.NewGuess(5, 10, 20)
	r.listed(guess)
	if got := last(); got.Span != (partition.Span{After: "a", Upto: "d"}) || got.Keys != 3 || got.Left != guess || got.Number != 1 || got.State != progress.Listing {
		t.Errorf("after the first page: %+v", got)
	}
	if r.beat(); r.due() || len(sent) != 1 {
		t.Error("a report is due at once after another one")
	}
	now = now.Add(reportEvery)
	r.repeated(fmt.Errorf("call: %w", objectstore.ErrThrottled))
	r.repeated(errors.New("cut off"))
	r.take(4, []byte("h"))
	r.cover(partition.Cover{Span: partition.Span{After: "a", Upto: "e"}, Range: &partition.RangeMetadata{Count: 4}})
	if r.beat(); len(sent) != 2 || last().Span != (partition.Span{After: "e", Upto: "h"}) || last().Keys != 3 || last().Throttles != 1 || last().Retries != 2 {
		t.Errorf("after a cover: %+v", last())
	}
	r.cover(partition.Cover{Span: partition.Span{After: "e", Upto: "h"}, Range: &partition.RangeMetadata{Count: 3}})
	r.listed(guess)
	if last().Span != (partition.Span{}) || last().Keys != 0 {
		t.Errorf("when all is covered: %+v", last())
	}
	r.take(2, []byte("k"))
	if r.end(progress.Waiting); last().State != progress.Waiting || last().Keys != 0 || last().Left.Keys != 12 {
		t.Errorf("when it is handed back: %+v", last())
	}
	if r.end(progress.Over); last().State != progress.Over || last().Left.Keys != 10 {
		t.Errorf("in the end: %+v", last())
	}
	for _, got := range sent {
		if err := got.Check(); err != nil {
			t.Errorf("%+v: %v", got, err)
		}
	}
}
