package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
)

// rows are those of a run that just meets every target.
func rows() []Row {
	row := func(by, kind, bucket string, objects int64, wall, cpu time.Duration, lists int64) Row {
		return Row{
			Plan:  Plan{Name: by + " <" + kind + ">", By: by, Kind: kind, Bucket: bucket, Objects: objects},
			Usage: measure.Usage{Wall: wall, CPU: cpu, Allocs: uint64(objects / 20), Peak: 256 << 20},
			Lists: lists, MinLists: objects / 1000, MetarangeID: "id of " + bucket,
		}
	}
	const ms = time.Millisecond
	floor := row(byStage, plain, "hive-1m", million, 500*ms, 500*ms, 0)
	floor.stage, floor.MinLists, floor.MetarangeID = "floor", 0, ""
	bare := row(byStage, walked, "hive-1m", million, 50_000*ms, 500*ms, 0)
	bare.stage, bare.MinLists, bare.MetarangeID = "walk", 0, ""
	return []Row{
		floor,
		row(byWorker, plain, "hive-1m", million, 400*ms, 650*ms, 1000),
		row(byWorker, late, "hive-1m", million, 2000*ms, 700*ms, 1000),
		row(byLakeFS, plain, "hive-1m", million, 7000*ms, 6500*ms, 1000),
		row(byLakeFS, late, "hive-1m", million, 60_000*ms, 7000*ms, 1000),
		row(byWorker, faulty, "hive-1m", million, 3000*ms, 700*ms, 1500),
		row(byWorker, shape, "md5-1m", million, 2000*ms, 700*ms, 1000),
		row(byWorker, shape, "zipf-1m", million, 2600*ms, 700*ms, 1150),
		row(byWorker, large, "hive-10m", 10*million, 4000*ms, 6825*ms, 10_500),
		bare,
		row(byWorker, walked, "hive-1m", million, 57_500*ms, 700*ms, 1000),
	}
}

func TestTargets(t *testing.T) {
	for _, target := range targets(rows()) {
		if target.Verdict != "met" {
			t.Errorf("a target that is just met: %+v", target)
		}
	}
	for name, spoil := range map[string]func([]Row){
		"CPU-s per million objects, whole worker":      func(r []Row) { r[1].CPU += time.Second / 10 },
		"CPU of the worker over that of the floor":     func(r []Row) { r[0].CPU -= time.Second / 10 },
		"CPU of lakeFS's packages over the worker's":   func(r []Row) { r[3].CPU -= time.Second },
		"wall, 1M objects, latency per LIST":           func(r []Row) { r[2].Wall += time.Second },
		"wall of lakeFS's packages over the worker's":  func(r []Row) { r[4].Wall -= time.Second },
		"worst shape over best, wall":                  func(r []Row) { r[7].Wall += time.Second },
		"LIST calls beyond the minimum, 1M, worst row": func(r []Row) { r[7].Lists++ },
		"LIST calls beyond the minimum, 10M":           func(r []Row) { r[8].Lists++ },
		"peak memory of a worker, 1M objects and more": func(r []Row) { r[8].Peak++ },
		"CPU of 10M objects over that of 1M":           func(r []Row) { r[8].CPU += time.Second },
		"LIST calls with faults over those without":    func(r []Row) { r[5].Lists++ },
		"wall of a worker that walks over a bare walk": func(r []Row) { r[10].Wall += time.Second },
		"equal metarange IDs, all rows of one bucket":  func(r []Row) { r[4].MetarangeID = "another" },
	} {
		r := rows()
		spoil(r)
		missed := 0
		for _, target := range targets(r) {
			if target.Name == name && target.Verdict == "missed" {
				missed++
			}
		}
		if missed != 1 {
			t.Errorf("%s: met, want missed", name)
		}
	}
	for _, target := range targets(nil) {
		if target.Verdict != "not measured" || target.Measured != "-" {
			t.Errorf("a target without rows: %+v", target)
		}
	}
}

func TestReport(t *testing.T) {
	r := Report{Rows: rows(), Targets: targets(rows())}
	text := r.Text()
	for _, want := range []string{"worker <latency>", "0.650", "15.0%", "n/a", "50k", "met"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	var back Report
	if err := json.Unmarshal(measure.JSON(r), &back); err != nil || back.Rows[1].CPU != r.Rows[1].CPU {
		t.Errorf("%v, %+v", err, back.Rows)
	}
	picture := xml.NewDecoder(strings.NewReader(string(r.Picture())))
	bars := 0
	for {
		token, err := picture.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 1+len(r.Rows) { // one is the background
		t.Errorf("%d bars", bars)
	}
}

func TestShort(t *testing.T) {
	for want, v := range map[string]float64{"0": 0, "12.5": 12.5, "100k": 100_000, "75.9M": 75_883_000, "2e+03G": 2e12} {
		if got := short(v); got != want {
			t.Errorf("short(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestPlan(t *testing.T) {
	o, err := parse([]string{"-quick"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plan(o) {
		if p.Objects != 100_000 {
			t.Errorf("%+v", p)
		}
	}
	if o, err = parse([]string{"-verify", "-huge", "100m"}); err != nil || len(o.shapes) != 18 {
		t.Fatal(err, o.shapes)
	}
	kinds := map[string]int{}
	for _, p := range plan(o) {
		kinds[p.By+p.Kind]++
	}
	if kinds[byWorker+shape] != 18 || kinds[byLakeFS+compare] != 18 || kinds[byWorker+huge] != 1 || kinds[byWorker+large] != 1 {
		t.Errorf("%v", kinds)
	}
}

// A run without rows would replace earlier results by none.
func TestRunsWithoutRowsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-only", "no such row"}, {"-shapes", "md5,no such shape"}, {"-shape", "no such shape"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
