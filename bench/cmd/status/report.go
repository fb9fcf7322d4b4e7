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

// Row is one status that was asked for.
type Row struct {
	Name   string  `json:"name"`
	Rounds []Round `json:"rounds"`
}

// Round is what each server answered, one after the other.
type Round struct {
	Bare        Side `json:"bare"`
	Coordinator Side `json:"coordinator"`
}

// Side is what a server answered, and what it used for it.
type Side struct {
	Tally

	Usage measure.Usage `json:"usage"`
}

// Rate returns the number of answers in a second.
func (s Side) Rate() float64 { return float64(s.Answered) / s.Wall.Seconds() }

// Each returns the CPU time of the server for each answer.
func (s Side) Each() time.Duration { return s.Usage.CPU / time.Duration(max(1, s.Answered)) }

// wanted is the least ratio of the rates that meets the target.
const wanted = 0.5

// ratio returns the median over the rounds of what the coordinator answered, over what the bare
// handler answered.
func (r Row) ratio() float64 {
	return measure.MedianOf(r.Rounds, func(r Round) float64 { return r.Coordinator.Rate() / r.Bare.Rate() })
}

// Text returns the tables.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %d clients   load %s\n\n", r.Date.Format(time.DateTime), r.Clients, r.Load)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "medians\tbare answers/s\tcoordinator\tratio\tbare CPU us each\tcoordinator\tlongest ms\trefused\tpeak MiB\t")
	for _, row := range r.Rows {
		var all Tally
		var peak int64
		for _, round := range row.Rounds {
			all.add(round.Coordinator.Tally)
			peak = max(peak, round.Coordinator.Usage.Peak)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%.1f\t%.1f\t%d\t%d\t%d\t\n", row.Name,
			measure.MedianOf(row.Rounds, func(r Round) float64 { return r.Bare.Rate() }),
			measure.MedianOf(row.Rounds, func(r Round) float64 { return r.Coordinator.Rate() }), row.ratio(),
			measure.MedianOf(row.Rounds, func(r Round) float64 { return 1e6 * r.Bare.Each().Seconds() }),
			measure.MedianOf(row.Rounds, func(r Round) float64 { return 1e6 * r.Coordinator.Each().Seconds() }),
			all.Longest.Milliseconds(), all.Refused, peak>>20)
	}
	_ = w.Flush() // to memory
	b.WriteByte('\n')
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "status %s, answers/s over those of a bare handler  >= %.1fx  %.2fx  %s\n", row.Name, wanted, row.ratio(), measure.Verdict(row.ratio() >= wanted))
	}
	return b.String()
}
