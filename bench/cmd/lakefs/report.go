package main

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
	Date    time.Time     `json:"date"`
	Load    string        `json:"load"`            // averages of 1, 5 and 15 minutes at the end of the run
	Latency time.Duration `json:"list_latency_ns"` // of a LIST call
	Pairs   []Pair        `json:"pairs"`
}

// Pair is the same import by both, one after the other.
type Pair struct {
	Size       string `json:"size"`
	LakeFS     Row    `json:"lakefs"`
	Rangefleet Row    `json:"rangefleet"`
	Compared   int    `json:"compared"` // objects that were listed from both branches, and are equal
}

// Row is the cost of an import.
type Row struct {
	Objects     int64         `json:"objects"`
	Wall        time.Duration `json:"wall_ns"` // from the request to the commit
	CPU         Parts         `json:"cpu_s"`   // seconds of all processes of a kind, during the import
	Peak        Parts         `json:"peak_mib"`
	Lists       int64         `json:"lists"`
	Flight      int64         `json:"in_flight"` // most LIST calls at the same time
	Puts        int64         `json:"puts"`
	MetarangeID string        `json:"metarange_id"`
}

// Parts is a number for each kind of process.
type Parts struct {
	LakeFS      float64 `json:"lakefs"`
	Coordinator float64 `json:"coordinator"`
	Worker      float64 `json:"worker"`
	NATS        float64 `json:"nats"`
}

// of returns the number for the program of a process.
func (p *Parts) of(program string) *float64 {
	switch program {
	case "coordinator":
		return &p.Coordinator
	case "worker":
		return &p.Worker
	case "nats-server":
		return &p.NATS
	default:
		return &p.LakeFS
	}
}

// All returns the sum.
func (p Parts) All() float64 { return p.LakeFS + p.Coordinator + p.Worker + p.NATS }

// judged is the size of the imports that the targets are about, and wanted the least ratio.
const judged, wanted = "1m", 10

// Text returns the tables.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %v per LIST   load %s\n\n", r.Date.Format(time.DateTime), r.Latency, r.Load)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tobjects\twall s\tCPU-s\tof lakeFS\tcoordinator\tworkers\tNATS\tLIST\tin flight\tPUT\tpeak MiB lakeFS\tcoordinator\tworker\tmetarange\t")
	for _, p := range r.Pairs {
		row(w, "lakeFS", p.LakeFS)
		row(w, "Rangefleet", p.Rangefleet)
	}
	_ = w.Flush() // to memory
	b.WriteByte('\n')
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, size := range r.sizes() {
		r.target(t, size, "wall", func(row Row) float64 { return row.Wall.Seconds() })
		r.target(t, size, "CPU", func(row Row) float64 { return row.CPU.All() })
	}
	_ = t.Flush() // to memory
	return b.String()
}

func row(w *tabwriter.Writer, name string, r Row) {
	fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%d\t%d\t%d\t%.0f\t%.0f\t%.0f\t%.8s\t\n",
		name, r.Objects, r.Wall.Seconds(), r.CPU.All(), r.CPU.LakeFS, r.CPU.Coordinator, r.CPU.Worker, r.CPU.NATS,
		r.Lists, r.Flight, r.Puts, r.Peak.LakeFS, r.Peak.Coordinator, r.Peak.Worker, r.MetarangeID)
}

// sizes returns the sizes in order.
func (r Report) sizes() (sizes []string) {
	for _, p := range r.Pairs {
		if !slices.Contains(sizes, p.Size) {
			sizes = append(sizes, p.Size)
		}
	}
	return sizes
}

// target writes the ratio of a cost at a size.
func (r Report) target(t *tabwriter.Writer, size, name string, cost func(Row) float64) {
	ratio := r.ratio(size, cost)
	want, verdict := "", ""
	if size == judged {
		want, verdict = fmt.Sprintf(">= %dx", wanted), measure.Verdict(ratio >= wanted)
	}
	fmt.Fprintf(t, "%s of %s objects, lakeFS over Rangefleet\t%s\t%.1fx\t%s\n", name, size, want, ratio, verdict)
}

// ratio returns the median of what lakeFS cost over what Rangefleet cost.
func (r Report) ratio(size string, cost func(Row) float64) float64 {
	var ratios []float64
	for _, p := range r.Pairs {
		if p.Size == size {
			ratios = append(ratios, cost(p.LakeFS)/cost(p.Rangefleet))
		}
	}
	slices.Sort(ratios)
	n := len(ratios)
	return (ratios[(n-1)/2] + ratios[n/2]) / 2
}
