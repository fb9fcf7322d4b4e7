package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
)

func TestReport(t *testing.T) {
	r := Report{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Load: "1 2 3",
		Rows: []Row{{
			Name: "hive by 8", Objects: 4_000_000, Workers: 8, Wall: 1500 * time.Millisecond, Lists: 4400, Flight: 32, Busiest: 0.25, Given: 17,
			Ranges: 80, Puts: 81, In: 160, Out: 240, CPU: Parts{1, 2, 3, 4}, Peak: Parts{50, 60, 70, 80},
		}},
		Targets: []Target{{"this", ">= 7x", "7.5x", true}, {"that", "<= 5 s", "6.0 s", false}, {"besides", "", "9.0", true}},
	}
	text := r.Text()
	for _, want := range []string{"hive by 8", "1.5", "4400", "10%", "32", "25%", "17", "2.0", "3.0", "50"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	for _, want := range []string{"this >= 7x 7.5x met", "that <= 5 s 6.0 s missed besides 9.0"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("the text lacks the target %q:\n%s", want, text)
		}
	}
	if strings.HasSuffix(strings.TrimSpace(text), "met") {
		t.Errorf("a number without a target is judged:\n%s", text)
	}
	var back Report
	if err := json.Unmarshal(measure.JSON(r), &back); err != nil || back.Rows[0] != r.Rows[0] || back.Targets[1] != r.Targets[1] {
		t.Errorf("read back %+v, %v", back, err)
	}
}

func TestScenariosAreChosenByName(t *testing.T) {
	for only, want := range map[string]string{
		"":              "scale skew failover workerkill branches branch alone",
		"huge":          "huge",
		"skew,failover": "skew failover",
	} {
		var got []string
		for _, s := range scenarios {
			if s.chosen(only) {
				got = append(got, s.name)
			}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("-only %q runs %q, want %q", only, text, want)
		}
	}
}

// A run without scenarios would replace earlier results by none.
func TestUnknownScenariosAreRefused(t *testing.T) {
	for only, ok := range map[string]bool{"": true, "huge": true, "skew,failover": true, "none": false, "skew,none": false, "skew,": false} {
		if err := (options{only: only}).check(); (err == nil) != ok {
			t.Errorf("-only %q: %v", only, err)
		}
	}
}
