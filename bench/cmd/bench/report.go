package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
)

// Report is the result of a run.
type Report struct {
	Date    time.Time `json:"date"`
	Machine Machine   `json:"machine"`
	Rows    []Row     `json:"rows"`
	Targets []Target  `json:"targets"`
}

// Machine describes the machine of a run.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Load   string `json:"load"` // averages of 1, 5 and 15 minutes at the end of the run
}

func machine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Load: measure.Load()}
	info, _ := os.ReadFile("/proc/cpuinfo") // if this fails, CPU stays empty
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(kernel))
	return m
}

// Text returns the tables.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %s, %d cores, Linux %s, %s, load %s\n\n",
		r.Date.Format("2006-01-02 15:04 UTC"), r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Machine.Load)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	widest := 0
	for _, row := range r.Rows {
		widest = max(widest, len(row.Name))
	}
	fmt.Fprintln(w, "\tobjects\twall s\tCPU-s/M\tinstr/M\tcycles/M\tallocs/M\tLIST\t+min\tin flight\tpeak MiB\t")
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%-*s\t%s\t%.2f\t%.3f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", widest, row.Name, short(float64(row.Objects)), row.Wall.Seconds(),
			row.CPUPerMillion(), row.perMillion(row.Instructions), row.perMillion(row.Cycles), row.perMillion(&row.Allocs),
			or(row.Lists), row.excess(), or(row.InFlight), or(row.Peak>>20))
	}
	_ = w.Flush() // writing to memory does not fail
	b.WriteByte('\n')
	w = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "target\twanted\tmeasured\t")
	for _, t := range r.Targets {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.Name, t.Wanted, t.Measured, t.Verdict)
	}
	_ = w.Flush()
	return b.String()
}

// perMillion formats a count per million objects.
func (r Row) perMillion(n *uint64) string {
	if n == nil {
		return "n/a"
	}
	return short(float64(*n) * 1e6 / float64(r.Objects))
}

// excess formats the percentage of LIST calls beyond the minimum.
func (r Row) excess() string {
	if r.MinLists == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f%%", 100*(float64(r.Lists)/float64(r.MinLists)-1))
}

func or(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// short formats a number with three digits and a unit.
func short(v float64) string {
	for _, unit := range []string{"", "k", "M", "G"} {
		if v < 1000 || unit == "G" {
			return fmt.Sprintf("%.3g%s", v, unit)
		}
		v /= 1000
	}
	return ""
}
