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
	Rows    []Row     `json:"rows"`
	Targets []Target  `json:"targets"`
}

// Row is the cost of an import, or of many at once.
type Row struct {
	Name    string        `json:"name"`
	Objects int64         `json:"objects"`
	Workers int           `json:"workers"`
	Wall    time.Duration `json:"wall_ns"` // from the request to the commit
	Lists   int64         `json:"lists"`
	Flight  int64         `json:"in_flight"` // most LIST calls at the same time
	Busiest float64       `json:"busiest"`   // largest share of the objects that one worker covered
	Given   int           `json:"given"`     // partitions handed over to idle workers
	Puts    int64         `json:"puts"`
	Ranges  int           `json:"ranges"`
	In      int64         `json:"messages_in"`  // from clients to NATS
	Out     int64         `json:"messages_out"` // from NATS to clients
	CPU     Parts         `json:"cpu_s"`        // seconds of all processes of a kind, during the import
	Peak    Parts         `json:"peak_mib"`     // most resident memory of a process of a kind, since its start

	MetarangeID string `json:"metarange_id,omitempty"`
}

// Rate returns the number of objects imported per second.
func (r Row) Rate() float64 { return float64(r.Objects) / r.Wall.Seconds() }

// Parts is a number for each kind of process.
type Parts struct {
	Coordinator float64 `json:"coordinator"`
	Worker      float64 `json:"worker"`
	NATS        float64 `json:"nats"`
	S3          float64 `json:"s3"`
}

// of returns the number for a kind of process.
func (p *Parts) of(name string) *float64 {
	switch name {
	case "coordinator":
		return &p.Coordinator
	case "worker":
		return &p.Worker
	case "nats-server":
		return &p.NATS
	default:
		return &p.S3
	}
}

// Target is a goal of the project, with the result of a run.
type Target struct {
	Name     string `json:"name"`
	Wanted   string `json:"wanted"` // empty if the number is shown but not judged
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
}

// Text returns the tables.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   load %s\n\n", r.Date.Format(time.DateTime), r.Load)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tobjects\tworkers\twall s\tobjects/s\tLIST\t+min\tin flight\tbusiest worker\tgiven\tranges\tPUT\tmessages in/range\tout/range\tCPU-s coord.\tworkers\tNATS\tS3\tpeak MiB coord.\tworker\tNATS\t")
	for _, row := range r.Rows {
		least := max(1, float64(row.Objects)/1000)
		ranges := max(1, float64(row.Ranges))
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\t%.0f\t%d\t%.0f%%\t%d\t%.0f%%\t%d\t%d\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f\t%.0f\t\n",
			row.Name, row.Objects, row.Workers, row.Wall.Seconds(), row.Rate(), row.Lists, 100*(float64(row.Lists)/least-1), row.Flight, 100*row.Busiest, row.Given, row.Ranges, row.Puts,
			float64(row.In)/ranges, float64(row.Out)/ranges,
			row.CPU.Coordinator, row.CPU.Worker, row.CPU.NATS, row.CPU.S3, row.Peak.Coordinator, row.Peak.Worker, row.Peak.NATS)
	}
	_ = w.Flush() // to memory
	b.WriteByte('\n')
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, target := range r.Targets {
		verdict := ""
		if target.Wanted != "" {
			verdict = measure.Verdict(target.Met)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", target.Name, target.Wanted, target.Measured, verdict)
	}
	_ = t.Flush() // to memory
	return b.String()
}
