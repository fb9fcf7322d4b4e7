package landing

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
)

// Report is the result of a run.
type Report struct {
	Date   time.Time `json:"date"`
	Load   string    `json:"load"`   // averages of 1, 5 and 15 minutes at the end of the run
	Ranges int       `json:"ranges"` // of each branch, and of each import
	Rows   []Row     `json:"rows"`

	Afar    []Afar   `json:"afar"` // rounds
	Process *Process `json:"process,omitempty"`
}

// Afar is a round of the case Changed on a store whose reads are slow.
type Afar struct {
	Beside Cost `json:"beside"` // with ranges that are compared beside one another
	After  Cost `json:"after"`  // one after another
}

// Row is a case, with the costs of each round. A landing is followed by the least work.
type Row struct {
	Case   string `json:"case"`
	About  string `json:"about"`
	Ranges int    `json:"ranges"` // of the result
	Ours   []Cost `json:"ours"`
	Bare   []Cost `json:"bare"`
}

// What a landing may take.
const (
	mostTimes = 3         // the least work
	mostPeak  = 256 << 20 // bytes
)

// wall and cpu return a time of a cost.
func wall(c Cost) float64 { return c.Wall.Seconds() }
func cpu(c Cost) float64  { return c.CPU.Seconds() }

// ratio returns the median of the rounds' ratios.
func (r Row) ratio(of func(Cost) float64) float64 {
	var all []float64
	for i := range r.Ours {
		all = append(all, of(r.Ours[i])/of(r.Bare[i]))
	}
	return measure.Median(all)
}

// peak returns the most memory of a round.
func (r Row) peak() (most int64) {
	for _, c := range r.Ours {
		most = max(most, c.Peak)
	}
	return most
}

// Text returns the tables.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   load %s   %d ranges in each tree\n\n", r.Date.Format("2006-01-02 15:04 UTC"), r.Load, r.Ranges)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "case\tranges\twall ms\tbare\tratio\tCPU ms\tbare\tratio\tcalls\tbare\tMiB\tbare\tpeak MiB\t")
	var walls, cpus []float64
	var peak int64
	for _, row := range r.Rows {
		ours, bare := row.Ours[0], row.Bare[0]
		walls, cpus, peak = append(walls, row.ratio(wall)), append(cpus, row.ratio(cpu)), max(peak, row.peak())
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.2f\t%.0f\t%.0f\t%.2f\t%d\t%d\t%d\t%d\t%d\t\n", row.Case, row.Ranges,
			1e3*measure.MedianOf(row.Ours, wall), 1e3*measure.MedianOf(row.Bare, wall), row.ratio(wall),
			1e3*measure.MedianOf(row.Ours, cpu), 1e3*measure.MedianOf(row.Bare, cpu), row.ratio(cpu),
			ours.Calls, bare.Calls, ours.Bytes>>20, bare.Bytes>>20, row.peak()>>20)
	}
	_ = w.Flush() // writing to memory does not fail
	b.WriteByte('\n')
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%-8s %s\n", row.Case, row.About)
	}
	fmt.Fprintf(&b, "\nwall, worst case: %.2fx, want at most %dx\n", slices.Max(walls), mostTimes)
	fmt.Fprintf(&b, "CPU, worst case: %.2fx, want at most %dx\n", slices.Max(cpus), mostTimes)
	fmt.Fprintf(&b, "peak memory: %d MiB, want at most %d MiB\n", peak>>20, mostPeak>>20)
	if len(r.Afar) > 0 {
		b.WriteString(afarText(r.Afar))
	}
	if p := r.Process; p != nil {
		fmt.Fprintf(&b, "\na coordinator's process, all ranges stay, last cover to commit: wall %.0f ms, CPU %.0f ms, peak %d MiB (without imports %d), want at most %d MiB\n",
			1e3*p.Wall.Seconds(), 1e3*p.CPU.Seconds(), p.Peak>>20, p.Before>>20, mostPeak>>20)
	}
	return b.String()
}

// afarText is the table of at least one round.
func afarText(rounds []Afar) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-8s %s; %d ranges in each tree\n", Changed().Name, Changed().About, AfarRanges)
	var walls, cpus []float64
	for _, a := range rounds {
		walls, cpus = append(walls, wall(a.After)/wall(a.Beside)), append(cpus, cpu(a.After)/cpu(a.Beside))
		fmt.Fprintf(&b, "one after another: wall %.1f s, CPU %.1f s, peak %d MiB; beside one another: wall %.1f s, CPU %.1f s, peak %d MiB\n",
			wall(a.After), cpu(a.After), a.After.Peak>>20, wall(a.Beside), cpu(a.Beside), a.Beside.Peak>>20)
	}
	fmt.Fprintf(&b, "beside one another takes 1/%.1f of the wall time, and 1/%.1f of the CPU time\n", measure.Median(walls), measure.Median(cpus))
	return b.String()
}

// Finish notes when the report was completed, and the load.
func (r *Report) Finish() {
	r.Date, r.Load = time.Now().UTC().Truncate(time.Second), measure.Load()
}
