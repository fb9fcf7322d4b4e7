package progress_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// FuzzReports takes in reports that anybody may have made up, one a line. Whatever they say, no
// number is negative, and what was listed does not fall.
func FuzzReports(f *testing.F) {
	f.Add([]byte(`{"partition":"p","delivery":"d","number":1,"state":"listing","span":{"after":"a","upto":"c"},"keys":3,"left":{"keys":5,"some":true}}`))
	f.Add([]byte(`{"partition":"p","number":2,"state":"waiting","throttles":1000000000000000,"left":{"keys":1000000000000000,"wild":true,"some":true}}` + "\n" +
		`{"partition":"p","number":3,"state":"over","retries":7}` + "\n" + `{"partition":"q","state":"listing","span":{"after":"","upto":"z"},"keys":1}`))
	f.Fuzz(func(t *testing.T, lines []byte) {
		var tally progress.Tally
		var chain partition.Chain
		now, listed := time.Unix(0, 0), int64(0)
		for line := range bytes.Lines(lines) {
			now = now.Add(time.Second)
			var r progress.Report
			if json.Unmarshal(line, &r) == nil && r.Check() == nil {
				tally.Take(r, now)
			}
			if r.Number%3 == 1 { // some of it gets covered
				chain.Add(partition.Cover{Span: r.Span, Range: &partition.RangeMetadata{MinKey: r.Span.Upto, MaxKey: r.Span.Upto, Count: 1}})
			}
			fold := chain.Fold()
			p := tally.Look(&chain, fold.Objects, 2, now, 3*time.Second)
			if p.Listed < listed || p.Listed < fold.Objects {
				t.Fatalf("%d keys were listed, %d before, and %d are covered", p.Listed, listed, fold.Objects)
			}
			listed = p.Listed
			if !possible(p) {
				t.Fatalf("%+v", p)
			}
		}
	})
}

// possible reports whether an import can be that far: no number is negative, no fewer keys are
// estimated than were listed, and no worker is without a partition.
func possible(p progress.Progress) bool {
	e := p.Estimate
	if e.Some && (e.Keys < p.Listed || e.Low < 0 || e.High < 0) {
		return false
	}
	return p.PerSecond >= 0 && p.Remaining >= 0 && p.Throttles >= 0 && p.Retries >= 0 && p.Workers <= p.Running
}
