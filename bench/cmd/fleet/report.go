package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is a whole run.
type Report struct {
	Date    time.Time `json:"date"`
	Load    string    `json:"load"` // averages of 1, 5 and 15 minutes at the end
	Rows    []Row     `json:"rows"`
	Targets []Target  `json:"targets"`
}

// Row is what an import, or many at once, took.
type Row struct {
	Name    string        `json:"name"`
	Objects int64         `json:"objects"`
	Workers int           `json:"workers"`
	Wall    time.Duration `json:"wall_ns"` // from the request until the commit is on the branch
	Lists   int64         `json:"lists"`
	Flight  int64         `json:"in_flight"` // most LIST calls at a time
	Busiest float64       `json:"busiest"`   // of all objects that were covered, the share of one worker, at most
	Given   int           `json:"given"`     // partitions that were cut off others for idle workers
	Puts    int64         `json:"puts"`
	Ranges  int           `json:"ranges"`
	In      int64         `json:"messages_in"`  // that NATS got from clients
	Out     int64         `json:"messages_out"` // that it sent to them
	CPU     Parts         `json:"cpu_s"`        // seconds while it ran, of all processes of a kind
	Peak    Parts         `json:"peak_mib"`     // resident since the start, of the largest process of a kind

	MetarangeID string `json:"metarange_id,omitempty"`
}

// Rate returns how many objects were imported a second.
func (r Row) Rate() float64 { return float64(r.Objects) / r.Wall.Seconds() }

// Parts is a number for each kind of process.
type Parts struct {
	Coordinator float64 `json:"coordinator"`
	Worker      float64 `json:"worker"`
	NATS        float64 `json:"nats"`
	S3          float64 `json:"s3"`
}

// of returns the part of a kind of process.
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

// Target is something that was wanted, and whether it was had.
type Target struct {
	Name     string `json:"name"`
	Wanted   string `json:"wanted"` // empty: measured, and judged by nobody
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
		verdict := "missed"
		switch {
		case target.Wanted == "":
			verdict = ""
		case target.Met:
			verdict = "met"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", target.Name, target.Wanted, target.Measured, verdict)
	}
	_ = t.Flush() // to memory
	return b.String()
}
