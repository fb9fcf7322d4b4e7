package main

import (
	"fmt"
	"slices"

	"github.com/rangefleet/rangefleet/bench/measure"
)

// Target is a goal of the project, with the result of a run.
type Target struct {
	Name     string `json:"name"`
	Wanted   string `json:"wanted"`
	Measured string `json:"measured"`
	Verdict  string `json:"verdict"` // met, missed, or not measured
}

const million = 1_000_000

// targets judges the rows of a run.
func targets(rows []Row) []Target {
	t := judge{rows: rows}
	worker, lakefs := t.row(byWorker, plain), t.row(byLakeFS, plain)
	t.atMost("CPU-s per million objects, whole worker", "%.2f", t.cpu(worker), 0.65)
	t.atMost("CPU of the worker over that of the floor", "%.2fx", ratio(t.cpu(worker), t.cpu(t.stage("floor"))), 1.3)
	t.atLeast("CPU of lakeFS's packages over the worker's", "%.1fx", ratio(t.cpu(lakefs), t.cpu(worker)), 10)
	slow := t.row(byWorker, late)
	t.atMost("wall, 1M objects, latency per LIST", "%.1f s", t.wall(slow, million), 2)
	t.atLeast("wall of lakeFS's packages over the worker's", "%.1fx", ratio(t.wall(t.row(byLakeFS, late), 0), t.wall(slow, 0)), 30)
	t.atMost("wall of a worker that walks over a bare walk", "%.2fx", ratio(t.wall(t.row(byWorker, walked), 0), t.wall(t.row(byStage, walked), 0)), 1.15)
	t.atMost("worst shape over best, wall", "%.2fx", t.spread(), 1.3)
	t.atMost("LIST calls beyond the minimum, 1M, worst row", "%.1f%%", t.excess(million), 15)
	t.atMost("LIST calls beyond the minimum, 10M", "%.1f%%", t.excess(10*million), 5)
	t.atMost("peak memory of a worker, 1M objects and more", "%.0f MiB", t.peak(), 256)
	t.atMost("CPU of 10M objects over that of 1M", "%.1fx", t.growth(), 10.5)
	t.atMost("LIST calls with faults over those without", "%.2fx", t.faultCalls(slow), 1.5)
	t.sameIDs()
	return t.out
}

// judge compares rows with targets. A number that was not measured is negative.
type judge struct {
	rows []Row
	out  []Target
}

// row returns the first row of a kind, or nil.
func (t *judge) row(by, kind string) *Row {
	i := slices.IndexFunc(t.rows, func(r Row) bool { return r.By == by && r.Kind == kind })
	if i < 0 {
		return nil
	}
	return &t.rows[i]
}

func (t *judge) stage(name string) *Row {
	i := slices.IndexFunc(t.rows, func(r Row) bool { return r.stage == name })
	if i < 0 {
		return nil
	}
	return &t.rows[i]
}

const unmeasured = -1

func ratio(a, b float64) float64 {
	if a < 0 || b <= 0 {
		return unmeasured
	}
	return a / b
}

func (t *judge) cpu(r *Row) float64 {
	if r == nil {
		return unmeasured
	}
	return r.CPUPerMillion()
}

// wall returns a row's wall time in seconds, if it has the given number of objects; 0 means
// any number.
func (t *judge) wall(r *Row, objects int64) float64 {
	if r == nil || objects > 0 && r.Objects != objects {
		return unmeasured
	}
	return r.Wall.Seconds()
}

// spread returns the longest wall time of a shape over the shortest.
func (t *judge) spread() float64 {
	var walls []float64
	for _, r := range t.rows {
		if r.By == byWorker && r.Kind == shape {
			walls = append(walls, r.Wall.Seconds())
		}
	}
	if len(walls) < 2 {
		return unmeasured
	}
	return slices.Max(walls) / slices.Min(walls)
}

// excess returns the largest percentage of LIST calls beyond the minimum in the rows with the
// given number of objects and without faults.
func (t *judge) excess(objects int64) float64 {
	worst := float64(unmeasured)
	for _, r := range t.rows {
		if r.By == byWorker && r.Objects == objects && r.Kind != faulty {
			worst = max(worst, 100*float64(r.Lists-r.MinLists)/float64(r.MinLists))
		}
	}
	return worst
}

func (t *judge) peak() float64 {
	most := float64(unmeasured)
	for _, r := range t.rows {
		if r.By == byWorker && r.Objects >= million {
			most = max(most, float64(r.Peak)/(1<<20))
		}
	}
	return most
}

func (t *judge) growth() float64 {
	small, big := t.row(byWorker, plain), t.row(byWorker, large)
	if small == nil || big == nil || big.Objects != 10*small.Objects {
		return unmeasured
	}
	return big.CPU.Seconds() / small.CPU.Seconds()
}

func (t *judge) faultCalls(without *Row) float64 {
	with := t.row(byWorker, faulty)
	if with == nil || without == nil {
		return unmeasured
	}
	return float64(with.Lists) / float64(without.Lists)
}

func (t *judge) atMost(name, format string, measured, limit float64) {
	t.add(name, "<= "+fmt.Sprintf(format, limit), format, measured, measured <= limit)
}

func (t *judge) atLeast(name, format string, measured, limit float64) {
	t.add(name, ">= "+fmt.Sprintf(format, limit), format, measured, measured >= limit)
}

func (t *judge) add(name, wanted, format string, measured float64, met bool) {
	target := Target{Name: name, Wanted: wanted, Measured: "-", Verdict: "not measured"}
	if measured >= 0 {
		target.Measured = fmt.Sprintf(format, measured)
		target.Verdict = measure.Verdict(met)
	}
	t.out = append(t.out, target)
}

// sameIDs checks that all rows of one bucket have the same metarange ID.
func (t *judge) sameIDs() {
	ids, compared, differ := map[string]string{}, map[string]bool{}, map[string]bool{}
	for _, r := range t.rows {
		if r.MetarangeID == "" {
			continue
		}
		if id, ok := ids[r.Bucket]; ok {
			compared[r.Bucket] = true
			if id != r.MetarangeID {
				differ[r.Bucket] = true
			}
		}
		ids[r.Bucket] = r.MetarangeID
	}
	target := Target{Name: "equal metarange IDs, all rows of one bucket", Wanted: "all", Measured: "-", Verdict: "not measured"}
	if len(compared) > 0 {
		target.Measured = fmt.Sprintf("%d of %d buckets", len(compared)-len(differ), len(compared))
		target.Verdict = measure.Verdict(len(differ) == 0)
	}
	t.out = append(t.out, target)
}
