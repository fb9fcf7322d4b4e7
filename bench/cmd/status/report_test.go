package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
)

func TestReport(t *testing.T) {
	side := func(answered int64, cpu time.Duration) Side {
		return Side{Tally{Answered: answered, Wall: time.Second, Longest: time.Millisecond}, measure.Usage{CPU: cpu, Peak: 1 << 20}}
	}
	round := func(bare, coordinator int64) Round {
		return Round{Bare: side(bare, time.Second), Coordinator: side(coordinator, time.Second)}
	}
	r := Report{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Load: "1 2 3", Clients: 7,
		Rows: []Row{
			{"of one", []Round{round(1000, 600), round(1000, 500), round(1000, 100)}},
			{"of another", []Round{round(1000, 400), round(1000, 440)}},
		},
	}
	text := strings.Join(strings.Fields(r.Text()), " ")
	for _, want := range []string{
		"2026-01-02 03:04:05 7 clients load 1 2 3",
		"of one 1000 500 0.50 1000.0 2000.0 1 0 1",
		"status of one, answers/s over those of a bare handler >= 0.5x 0.50x met",
		"status of another, answers/s over those of a bare handler >= 0.5x 0.42x missed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, r.Text())
		}
	}
	var back Report
	if err := json.Unmarshal(measure.JSON(r), &back); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("read back %+v, %v", back, err)
	}
}
