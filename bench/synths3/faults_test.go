package synths3_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/bench/synths3"
)

// Faults occur about as often as configured, are counted, and look to a client like the
// faults of a real store.
func TestFaultsOccurAtTheirRate(t *testing.T) {
	const calls = 1000
	for _, c := range []struct {
		name    string
		call    synths3.Call
		counted func(synths3.Counters) int64
		looks   string
	}{
		{"slow down", synths3.Call{SlowDown: 0.2}, func(c synths3.Counters) int64 { return c.SlowDowns }, "SlowDown"},
		{"reset", synths3.Call{Reset: 0.2}, func(c synths3.Counters) int64 { return c.Resets }, "connection reset|EOF"},
		{"cut", synths3.Call{Cut: 0.2}, func(c synths3.Counters) int64 { return c.Cuts }, "unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, base := start(t, synths3.Config{})
			if err := s.SetFaults(synths3.Faults{Seed: 5, List: c.call}); err != nil {
				t.Fatal(err)
			}
			var failed int64
			for range calls {
				// Go's client retries by itself on a reused connection.
				_, err := get(t, base+"/md5-10?list-type=2")
				if err == nil {
					continue
				}
				failed++
				if !slices.ContainsFunc(strings.Split(c.looks, "|"), func(look string) bool { return strings.Contains(err.Error(), look) }) {
					t.Fatalf("%v, want %s", err, c.looks)
				}
			}
			if n := c.counted(s.Counters()); n < calls/7 || n > calls/3 || failed == 0 || failed > n {
				t.Errorf("%d of %d calls are counted, and %d failed", n, calls, failed)
			}
		})
	}
}

// waits records how long calls would wait.
type waits struct{ ch chan time.Duration }

func (w waits) wait(_ context.Context, d time.Duration) error {
	w.ch <- d
	return nil
}

func TestLatencyAndStalls(t *testing.T) {
	w := waits{make(chan time.Duration, 1000)}
	s, base := start(t, synths3.Config{Wait: w.wait})
	latency := synths3.Latency{
		Base: synths3.Duration{Duration: 50 * time.Millisecond}, Spread: synths3.Duration{Duration: 10 * time.Millisecond},
		Tail: 0.1, TailMean: synths3.Duration{Duration: time.Second},
	}
	if err := s.SetFaults(synths3.Faults{List: synths3.Call{Latency: latency}}); err != nil {
		t.Fatal(err)
	}
	var long int
	for range 500 {
		list(t, base+"/md5-10", url.Values{})
		d := <-w.ch
		if d < 40*time.Millisecond {
			t.Fatalf("waited %v", d)
		}
		if d > 60*time.Millisecond {
			long++
		}
	}
	if long < 20 || long > 100 {
		t.Errorf("%d of 500 calls waited longer", long)
	}
	if err := s.SetFaults(synths3.Faults{Stall: synths3.Stall{Index: 7, For: synths3.Duration{Duration: 2 * time.Minute}}}); err != nil {
		t.Fatal(err)
	}
	walk(t, base+"/md5-10", url.Values{"max-keys": {"3"}}, false)
	if d := <-w.ch; d != 2*time.Minute || len(w.ch) != 0 || s.Counters().Stalls != 1 {
		t.Errorf("waited %v, %d more waits", d, len(w.ch))
	}
}

func TestLimits(t *testing.T) {
	now := time.Unix(1000, 0)
	held := make(chan struct{})
	s, base := start(t, synths3.Config{
		Now:  func() time.Time { return now },
		Wait: func(context.Context, time.Duration) error { <-held; return nil },
	})
	try := func() error { _, err := get(t, base+"/md5-10?list-type=2"); return err }
	if err := s.SetFaults(synths3.Faults{List: synths3.Call{MaxRate: 2}}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := try(); (err != nil) != (i >= 2) {
			t.Errorf("call %d of one instant at 2 per second: %v", i, err)
		}
	}
	now = now.Add(500 * time.Millisecond)
	if first, second := try(), try(); first != nil || second == nil {
		t.Errorf("half a second later: %v, %v", first, second)
	}
	if err := s.SetFaults(synths3.Faults{List: synths3.Call{
		MaxInFlight: 2, Latency: synths3.Latency{Base: synths3.Duration{Duration: time.Second}},
	}}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 3 {
		go func() { done <- try() }()
	}
	if err := <-done; err == nil { // only a refused call ends while the others are held
		t.Error("three calls were served at the same time")
	}
	close(held)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := s.Counters().MaxInFlight; n != 3 {
		t.Errorf("%d in flight", n)
	}
}

func TestControl(t *testing.T) {
	s, base := start(t, synths3.Config{})
	faults := `{"list":{"latency":{"base":"50ms"},"slow_down":0.05},"quirks":["unsorted"]}`
	if status, answer, _ := request(t, "PUT", base+"/_synths3/faults", faults); status != 200 {
		t.Fatal(status, answer)
	}
	if status, answer, _ := request(t, "GET", base+"/_synths3/faults", ""); status != 200 || !strings.Contains(answer, `"base": "50ms"`) {
		t.Fatal(status, answer)
	}
	for _, bad := range []string{`{"list":{"slow_down":2}}`, `{"quirks":["none"]}`, `{"unknown":1}`, `x`} {
		if status, _, _ := request(t, "PUT", base+"/_synths3/faults", bad); status != 400 {
			t.Errorf("%s: %d", bad, status)
		}
	}
	if err := s.SetFaults(synths3.Faults{}); err != nil {
		t.Fatal(err)
	}
	list(t, base+"/md5-10", url.Values{})
	if _, answer, _ := request(t, "GET", base+"/_synths3/counters", ""); !strings.Contains(answer, `"keys": 10,`) {
		t.Error(answer)
	}
	request(t, "DELETE", base+"/_synths3/counters", "")
	if c := s.Counters(); c.Keys != 0 || c.Calls["list"] != 0 || c.BytesOut != 0 {
		t.Errorf("counters after reset: %+v", c)
	}
}
