package scale

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The sizes and fleets in the tables.
var (
	sizes  = []float64{1e6, 1e9, 1e11}
	fleets = []int{1, 10, 100, 1000}
	parts  = []int{1, 100}
)

// Tables returns the generated part of docs/scale.md.
func Tables(m Measured, a Assumed) string {
	var b strings.Builder
	inputs(&b, m, a)
	work(&b, m, a)
	for _, keys := range sizes[1:] {
		runs(&b, m, a, keys)
	}
	limits(&b, m, a)
	return b.String()
}

func inputs(b *strings.Builder, m Measured, a Assumed) {
	b.WriteString("\n### Inputs\n\n| | | from |\n| --- | --- | --- |\n")
	row := func(what, value, from string) { fmt.Fprintf(b, "| %s | %s | %s |\n", what, value, from) }
	const bench, results, constant = "`bench/results/bench.json`, the row of a worker with the most objects", "`bench/results/scale.json`", "constant in the code"
	row("CPU time of a worker for a million keys", fmt.Sprintf("%.2f s", m.CPU.Seconds()), bench)
	row("keys per second of a worker with one slot that shares two cores with its store", count(m.Slot), bench)
	row("LIST calls beyond one per 1000 keys", fmt.Sprintf("%.0f %%", 100*(m.Lists-1)), bench)
	row("keys per range", count(m.Range), bench)
	row("size of a page of a listing, per key", bytes(m.PageKey), results)
	row("size of a metarange, per range", bytes(m.Metarange), results)
	row("size of a cover in NATS", bytes(m.Cover), results)
	row("memory of a coordinator, per range of a running import", bytes(m.Memory), results)
	row("memory of a coordinator without imports", bytes(m.Idle), results)
	row("time to fold the covers of a million ranges and write their metarange", wall(m.Landing), results)
	row("messages that one NATS server stores and syncs", count(m.Stored)+"/s", results)
	row("messages to NATS per range", fmt.Sprint(m.Messages), "the target of `bench/cmd/fleet`")
	row("wall time over that of workers that are always busy", fmt.Sprintf("%g, beyond 64 workers %g", m.Tail[0], m.Tail[1]), "the bounds of the simulation in `internal/fleetsim` with 64 and 256 workers")
	row("LIST calls in flight of a worker", fmt.Sprint(m.InFlight), "`s3.max_lists`")
	row("partitions at the start, most pieces that a worker hands over at once, and time between two rounds of hand-overs",
		fmt.Sprintf("%d, %d, %s", m.FirstCut, m.Pieces, wall(m.Split)), constant)
	row("memory limit of a coordinator", bytes(m.CoordinatorMax), "`GOMEMLIMIT` in `deploy/kubernetes`")
	row("LIST calls per second for one part of a bucket", count(m.PrefixLists), "AWS's documentation")
	row("latency of a LIST call", wall(a.Latency), "assumed")
	row("machines", fmt.Sprintf("%g cores, %s/s of sustained network bandwidth, $%g per hour: c7a.large on demand", a.Cores, bytes(a.Network), a.Machine), "assumed; look up your own")
	row("price of a LIST or PUT call", fmt.Sprintf("$%g per thousand", a.ListCost*1000), "S3 Standard's list price")
}

func work(b *strings.Builder, m Measured, a Assumed) {
	b.WriteString("\n### Costs that do not depend on the number of workers\n\n" +
		"| keys | LIST calls | ranges | messages | covers in NATS | metarange | coordinator | calls to S3 |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, keys := range sizes {
		w := m.Work(a, keys)
		memory := bytes(w.Memory)
		if w.Memory > m.CoordinatorMax {
			memory = "**" + memory + "**"
		}
		fmt.Fprintf(b, "| 10^%.0f | %s | %s | %s | %s | %s | %s | %s |\n", math.Log10(w.Keys), count(w.Lists), count(w.Ranges), count(w.Messages),
			bytes(w.Covers), bytes(w.Metarange), memory, dollars(w.Calls))
	}
	fmt.Fprintf(b, "\n**Bold**: more than the limit of %s that `deploy/kubernetes` sets for a coordinator.\n", bytes(m.CoordinatorMax))
}

func runs(b *strings.Builder, m Measured, a Assumed, keys float64) {
	fmt.Fprintf(b, "\n### 10^%.0f keys\n\n| workers | parts of the bucket | wall time | keys/s | limited by | machines | with calls |\n| --- | --- | --- | --- | --- | --- | --- |\n", math.Log10(keys))
	calls := m.Work(a, keys).Calls
	for _, n := range fleets {
		for _, p := range parts {
			r := m.Run(a, keys, n, p)
			fmt.Fprintf(b, "| %d | %d | %s | %s | %s | %s | %s |\n", n, p, wall(r.Wall), count(r.Keys), r.First, dollars(r.Machine), dollars(r.Machine+calls))
		}
	}
}

func limits(b *strings.Builder, m Measured, a Assumed) {
	b.WriteString("\n### Limits\n\nThe last column is the number of workers that reach a limit if nothing else limits them.\n\n| limit | keys/s | workers |\n| --- | --- | --- |\n")
	one := map[string]float64{}
	for _, l := range m.Limits(a, 1, 1) {
		one[l.Name] = l.Keys
	}
	own := []string{"CPU of workers", "measured speed of a worker", "network of workers", "latency of LIST"}
	busy := math.Inf(1) // keys per second of one worker
	for _, name := range own {
		busy = min(busy, one[name])
	}
	row := func(name string, keys float64) {
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, count(keys), count(keys/busy))
	}
	for _, name := range own {
		fmt.Fprintf(b, "| %s | %s each | |\n", name, count(one[name]))
	}
	row("the store, keys in one part", one["the store"])
	row("the store, keys in 100 parts", 100*one["the store"])
	row("NATS, one server", one["NATS"])
	perRange := m.Landing.Seconds() / 1e6
	row("the coordinator, if it spends half of the time on folding and landing", m.Range/perRange)
	fmt.Fprintf(b, "\nA coordinator of %s holds the covers and the metarange of an import of %s keys.\n", bytes(m.CoordinatorMax), count((m.CoordinatorMax-m.Idle)/m.Memory*m.Range))
}

// count formats a number with three significant digits and k, M, G or T for powers of 1000.
func count(n float64) string { return scaled(n, 1000, []string{"", "k", "M", "G", "T"}, "") }

func bytes(n float64) string { return scaled(n, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB"}, " ") }

func scaled(n, step float64, units []string, space string) string {
	i := 0
	for ; n >= 0.9995*step && i < len(units)-1; i++ {
		n /= step
	}
	digits := 0
	if i > 0 && n < 9.995 {
		digits = 2
	} else if i > 0 && n < 99.95 {
		digits = 1
	}
	text := fmt.Sprintf("%.*f", digits, n)
	if digits > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + strings.TrimSuffix(space+units[i], " ")
}

func dollars(n float64) string {
	if n < 10 {
		return fmt.Sprintf("$%.2f", n)
	}
	return fmt.Sprintf("$%.0f", n)
}

// wall formats a time in the largest fitting unit.
func wall(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.2g s", d.Seconds())
}
