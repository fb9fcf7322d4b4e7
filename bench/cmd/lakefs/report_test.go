package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
)

func TestReport(t *testing.T) {
	pair := func(size string, wall time.Duration, cpu float64) Pair {
		return Pair{
			Size: size, Compared: 1000,
			LakeFS:     Row{Objects: 1000, Wall: wall, CPU: Parts{LakeFS: cpu}, Lists: 1, MetarangeID: "0123456789"},
			Rangefleet: Row{Objects: 1000, Wall: time.Second, CPU: Parts{LakeFS: 0.25, Coordinator: 0.25, Worker: 0.25, NATS: 0.25}, Lists: 2},
		}
	}
	r := Report{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Load: "1 2 3", Latency: 50 * time.Millisecond,
		Pairs: []Pair{pair("200k", 7*time.Second, 8), pair("1m", 30*time.Second, 9), pair("1m", 11*time.Second, 9.5), pair("1m", 5*time.Second, 11)},
	}
	text := strings.Join(strings.Fields(r.Text()), " ")
	for _, want := range []string{
		"2026-01-02 03:04:05 50ms per LIST load 1 2 3",
		"lakeFS 1000 7.0 8.0 8.0 0.0 0.0 0.0 1",
		"01234567",
		"wall of 200k objects, lakeFS over Rangefleet 7.0x CPU",
		"CPU of 200k objects, lakeFS over Rangefleet 8.0x wall",
		"wall of 1m objects, lakeFS over Rangefleet >= 10x 11.0x met",
		"CPU of 1m objects, lakeFS over Rangefleet >= 10x 9.5x missed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, r.Text())
		}
	}
	var back Report
	if err := json.Unmarshal(measure.JSON(r), &back); err != nil || back.Pairs[0] != r.Pairs[0] {
		t.Errorf("read back %+v, %v", back, err)
	}
}

func TestSizesThatAreNoneAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-sizes", ""}, {"-sizes", "many"}, {"-sizes", "1k,"}, {"-rounds", "0"}, {"-workers", "0"}} {
		if o, err := parse(args); err == nil {
			t.Errorf("%q is %+v", args, o)
		}
	}
}
