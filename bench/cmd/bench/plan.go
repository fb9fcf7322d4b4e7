package main

import (
	"time"

	"github.com/rangefleet/rangefleet/bench/stage"
	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// What does the work of a row.
const (
	byStage  = "stage"
	byWorker = "worker"
	byLakeFS = "lakefs"
)

// Kinds of rows. The kind of a row tells which target judges it.
const (
	plain   = ""        // no latency
	late    = "latency" // with latency
	shape   = "shape"   // one of the shapes, with latency
	large   = "large"
	huge    = "huge"
	faulty  = "faults"
	walked  = "walk"    // one LIST after another
	compare = "compare" // a shape by lakeFS's packages, to compare metarange IDs
)

// Plan is a row to measure.
type Plan struct {
	Name    string        `json:"name"`
	By      string        `json:"by"`
	Kind    string        `json:"kind,omitempty"`
	Bucket  string        `json:"bucket"` // its name tells shape and number of keys
	Shape   string        `json:"shape"`
	Objects int64         `json:"objects"`
	Latency time.Duration `json:"latency_ns"`

	stage  string
	mode   objectstore.Mode // of a worker's listing
	faults synths3.Faults
}

// plan returns the rows of a run in order.
func plan(o options) []Plan {
	var rows []Plan
	add := func(by, kind, name, shape, count string, f synths3.Faults) {
		bucket := shape + "-" + count
		set, _ := keyset.Parse(bucket) // if the name is invalid, listing the bucket fails
		rows = append(rows, Plan{
			Name: name, By: by, Kind: kind, Bucket: bucket, Shape: shape, Objects: set.Len(),
			Latency: f.List.Latency.Base.Duration, faults: f,
		})
	}
	none := synths3.Faults{Seed: 1}
	slow := none
	slow.List.Latency.Base.Duration = o.latency
	for _, s := range stage.All() {
		add(byStage, plain, s.Name+": "+s.About, o.shape, o.objects, none)
		rows[len(rows)-1].stage = s.Name
	}
	ms := o.latency.String() + " per LIST"
	add(byWorker, plain, "worker, no latency", o.shape, o.objects, none)
	add(byWorker, late, "worker, "+ms, o.shape, o.objects, slow)
	add(byStage, walked, "bare walk by tokens, "+ms, o.shape, o.objects, slow)
	rows[len(rows)-1].stage = stage.Walk
	add(byWorker, walked, "worker that walks, "+ms, o.shape, o.objects, slow)
	rows[len(rows)-1].mode = objectstore.Walk
	if o.lakefs {
		add(byLakeFS, plain, "lakeFS's packages, no latency", o.shape, o.objects, none)
		add(byLakeFS, late, "lakeFS's packages, "+ms, o.shape, o.objects, slow)
	}
	if o.faults {
		f := slow
		f.List.SlowDown, f.List.Reset, f.List.Cut = 0.05, 0.01, 0.01
		f.Objects.SlowDown, f.Objects.Reset = 0.05, 0.01
		add(byWorker, faulty, "worker, 5% SlowDown, 1% resets, 1% cut", o.shape, o.objects, f)
	}
	for _, name := range o.shapes {
		add(byWorker, shape, "worker, "+name+", "+ms, name, o.objects, slow)
		if o.verify {
			add(byLakeFS, compare, "lakeFS's packages, "+name, name, o.objects, none)
		}
	}
	if o.large != "" {
		add(byWorker, large, "worker, "+o.large+" objects", o.shape, o.large, none)
	}
	if o.huge != "" {
		add(byWorker, huge, "worker, "+o.huge+" objects", o.shape, o.huge, none)
	}
	return rows
}
