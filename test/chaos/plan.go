package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// plan holds everything that the seed of a run determines. The same seed and form always give
// the same plan, but how the processes react depends on the machine.
type plan struct {
	seed    uint64
	form    form
	layout  layout
	imports []job
	faults  []fault
}

// form is the size of a run.
type form struct {
	short    bool
	window   time.Duration // in which faults begin
	faults   int           // number of faults in a long run; a short one has its share of all kinds
	keys     int64         // most keys of an import, which has at least half as many
	patience time.Duration // from the end of the last fault to the end of all imports
}

var (
	shortForm = form{short: true, window: 9 * time.Second, keys: 24_000, patience: 90 * time.Second}
	longForm  = form{window: 24 * time.Second, faults: 24, keys: 60_000, patience: 150 * time.Second}
)

// listing returns the setting s3.listing of a run. Every fourth long run walks. The others list
// in parallel, since partitions of walks are never cut, so that most faults have less effect.
func (p plan) listing() string {
	if !p.form.short && p.seed/uint64(layouts)%4 == 1 {
		return "walk"
	}
	return "parallel"
}

// layout is the kind of NATS servers of a run, and their disks.
type layout int

const (
	plain    layout = iota // three NATS servers with their files on the machine's disk
	small                  // three NATS servers, each with a disk of its own that can fill up
	loop                   // three NATS servers, each with a disk of its own that can lose power
	embedded               // one NATS server, embedded in a coordinator
	layouts
)

func (l layout) String() string {
	return [...]string{"cluster", "cluster on small disks", "cluster on loop disks", "embedded NATS"}[l]
}

// Numbers of processes, for all layouts.
const (
	natsServers  = 3
	coordinators = 2
	workers      = 3
)

func names(kind string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%d", kind, i)
	}
	return all
}

// job is one import of a run.
type job struct {
	bucket string
	dest   string
	at     time.Duration // time of the request
	keys   int64         // number of keys in the bucket; 0 if that changes
	poison bool          // the import must fail
}

// fault is one fault of a run.
type fault struct {
	kind    *kind
	target  string
	at, dur time.Duration
	detail  uint64 // random bits for further decisions
	step    string // the value of CHAOS_POINT, if a control sets it
}

func (f fault) String() string {
	return fmt.Sprintf("%6.2fs +%5.2fs  %-16s %-14s %s", f.at.Seconds(), f.dur.Seconds(), f.kind.name, f.target, f.what())
}

func (f fault) what() string {
	if f.kind.name != pointKind {
		return f.kind.about
	}
	return f.point()
}

// abilities tell which faults this machine and these programs support.
type abilities struct {
	mounts bool // tmpfs and loop devices can be mounted
	clock  bool // the programs were built with a clock that jumps
}

// newPlan makes the plan of a seed.
func newPlan(seed uint64, f form, a abilities) plan {
	rnd := rand.New(rand.NewPCG(seed, 0xc4a05))
	p := plan{seed: seed, form: f, layout: layout(seed % uint64(layouts))}
	if (p.layout == small || p.layout == loop) && !a.mounts {
		p.layout = plain
	}
	picked := p.pick(rnd, a)
	p.imports = p.newImports(rnd, picked)
	busy := make(map[string][]fault)
	for _, k := range picked {
		if at, ok := k.place(rnd, p, busy); ok {
			p.faults = append(p.faults, at)
		}
	}
	slices.SortFunc(p.faults, func(a, b fault) int { return int(a.at - b.at) })
	return p
}

// processPoints is the least number of faults of kind pointKind in a long run.
const processPoints = 6

// pick returns the kinds of the run's faults. A kind may occur more than once.
func (p plan) pick(rnd *rand.Rand, a abilities) []*kind {
	var all []*kind
	for _, k := range kinds {
		if k.possible(p.layout, a) {
			all = append(all, k)
		}
	}
	if p.form.short {
		// Each kind is in the run of one of the layouts on which it is possible.
		picked := slices.DeleteFunc(all, func(k *kind) bool { return !k.inShortRun(p.layout, a) })
		return append(picked, kindOf(pointKind), kindOf(pointKind))
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	picked := all[:min(len(all), p.form.faults/2)]
	for len(picked) < p.form.faults-processPoints {
		picked = append(picked, all[rnd.IntN(len(all))])
	}
	for range processPoints { // this kind has hundreds of variants
		picked = append(picked, kindOf(pointKind))
	}
	return picked
}

// newImports returns the imports of the run.
func (p plan) newImports(rnd *rand.Rand, picked []*kind) []job {
	shapes := []string{"awkward", "hive", "zruns", "md5", "cjk", "zipf", "deep", "firstlies", "uuid", "fractal", "onedir"}
	rnd.Shuffle(len(shapes), func(i, j int) { shapes[i], shapes[j] = shapes[j], shapes[i] })
	dests := []string{"a/", "b/", "old/sub/"} // the branch has objects under the first and the last
	var all []job
	for i, dest := range dests[:1+rnd.IntN(len(dests))] {
		n := p.form.keys/2 + rnd.Int64N(p.form.keys/2)
		all = append(all, job{
			bucket: fmt.Sprintf("%s-%d-%d", shapes[i], n, p.seed), dest: dest, keys: n,
			at: time.Duration(rnd.Int64N(int64(2 * time.Second))),
		})
	}
	has := func(name string) bool {
		return slices.ContainsFunc(picked, func(k *kind) bool { return k.name == name })
	}
	if has("churn") || has("s3-stale") {
		all = append(all, job{bucket: liveBucket, dest: liveDest})
	}
	if has("poison") {
		all = append(all, job{bucket: poisonBucket, dest: "poison/", poison: true})
	}
	return all
}

// place returns a fault of the kind, with a target and a time at which no other fault affects
// the same things.
func (k *kind) place(rnd *rand.Rand, p plan, busy map[string][]fault) (fault, bool) {
	for range 50 {
		f := fault{kind: k, at: time.Duration(rnd.Int64N(int64(p.form.window))), detail: rnd.Uint64()}
		least, most := k.least, k.most
		if p.form.short {
			most = min(most, max(least, p.form.window*2/3))
		}
		f.dur = least + time.Duration(rnd.Int64N(int64(most-least)+1))
		targets := k.targets(p)
		f.target = targets[rnd.IntN(len(targets))]
		if things := k.affects(p, f.target); free(busy, things, f) {
			for _, thing := range things {
				busy[thing] = append(busy[thing], f)
			}
			return f, true
		}
	}
	return fault{}, false
}

// free reports whether no other fault affects the things during the fault, or shortly before
// or after.
func free(busy map[string][]fault, things []string, f fault) bool {
	const moment = 500 * time.Millisecond
	for _, thing := range things {
		for _, o := range busy[thing] {
			if f.at < o.at+o.dur+moment && o.at < f.at+f.dur+moment {
				return false
			}
		}
	}
	return true
}

// print prints the plan.
func (p plan) print(w io.Writer) {
	fmt.Fprintf(w, "seed %d: %v, %s\n", p.seed, p.layout, p.listing())
	for _, j := range p.imports {
		fmt.Fprintf(w, "  %6.2fs          import of %s to %s\n", j.at.Seconds(), j.bucket, j.dest)
	}
	for _, f := range p.faults {
		fmt.Fprintln(w, "  "+strings.TrimSpace(f.String()))
	}
}
