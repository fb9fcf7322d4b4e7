package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
)

// Report is the result of a run.
type Report struct {
	Date    time.Time `json:"date"`
	Load    string    `json:"load"` // averages of 1, 5 and 15 minutes at the end of the run
	Clients int       `json:"clients"`
	Rows    []Row     `json:"rows"`
}

// Row is one kind of guesses.
type Row struct {
	Name   string  `json:"name"`
	Rounds []Round `json:"rounds"`
}

// Round is what polite clients see without a flood, and then beside one.
type Round struct {
	Quiet   Side `json:"quiet"`
	Flooded Side `json:"flooded"`
}

// Side is what polite clients see.
type Side struct {
	Asked   int           `json:"asked"`
	Wall    time.Duration `json:"wall_ns"`
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	Guesses float64       `json:"guesses"` // that were answered meanwhile
	Peak    int64         `json:"peak"`    // of the coordinator's memory until then, in bytes
}

// wanted is the highest ratio of the times, and grown the most bytes of memory after the first
// round, that meet the targets.
const (
	wanted = 2
	grown  = 16 << 20
)

// ratio returns the median over the rounds of the p99 beside a flood, over that without.
func (r Row) ratio() float64 {
	return measure.MedianOf(r.Rounds, func(r Round) float64 { return float64(r.Flooded.P99) / float64(r.Quiet.P99) })
}

// growth returns by how many bytes the coordinator grew after the first round.
func (r Row) growth() int64 { return r.Rounds[len(r.Rounds)-1].Flooded.Peak - r.Rounds[0].Flooded.Peak }

// Text returns the tables.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %d polite clients   load %s\n\n", r.Date.Format(time.DateTime), r.Clients, r.Load)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "medians\tguesses/s\tp50 ms\tbeside them\tp99 ms\tbeside them\tratio\tpeak MiB\tgrowth\t")
	milliseconds := func(d time.Duration) float64 { return 1e3 * d.Seconds() }
	for _, row := range r.Rows {
		in := func(of func(Round) float64) float64 { return measure.MedianOf(row.Rounds, of) }
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%d\t\n", row.Name,
			in(func(r Round) float64 { return r.Flooded.Guesses / r.Flooded.Wall.Seconds() }),
			in(func(r Round) float64 { return milliseconds(r.Quiet.P50) }), in(func(r Round) float64 { return milliseconds(r.Flooded.P50) }),
			in(func(r Round) float64 { return milliseconds(r.Quiet.P99) }), in(func(r Round) float64 { return milliseconds(r.Flooded.P99) }),
			row.ratio(), row.Rounds[len(row.Rounds)-1].Flooded.Peak>>20, row.growth()>>20)
	}
	_ = w.Flush() // to memory
	b.WriteByte('\n')
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "wrong %s, p99 of others over that without  <= %dx  %.2fx  %s\n", row.Name, wanted, row.ratio(), measure.Verdict(row.ratio() <= wanted))
		fmt.Fprintf(&b, "wrong %s, growth after the first round  <= %d MiB  %d MiB  %s\n", row.Name, grown>>20, row.growth()>>20, measure.Verdict(row.growth() <= grown))
	}
	return b.String()
}
