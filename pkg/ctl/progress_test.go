package ctl

import (
	"errors"
	"math"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func answer(phase api.ImportPhase, objects int64, ranges, partitions int) api.ImportStatusResp {
	return api.ImportStatusResp{Phase: phase, IngestedObjects: objects, Ranges: ranges, Partitions: partitions}
}

func TestProgressLine(t *testing.T) {
	refused := &client.Unreachable{Endpoint: "http://x", Err: &url.Error{Op: "Get", URL: "http://x", Err: &net.OpError{
		Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
	}}}
	p := progress{start: noon}
	for _, c := range []struct {
		at          float64
		act         func(now time.Time)
		state, want string
	}{
		{0.2, func(time.Time) {}, "starting", "starting [0.2s]"},
		{
			1, func(now time.Time) { p.observe(now, answer(api.Running, 0, 0, 1)) },
			"starting", "importing [1.0s], nothing listed yet",
		},
		{
			2, func(now time.Time) { p.observe(now, answer(api.Running, 1, 1, 4)) },
			"running", "importing [2.0s], 1 object, 1/s, 1 range, 4 partitions open",
		},
		{
			3, func(now time.Time) { p.observe(now, answer(api.Running, 1_000_001, 20, 1)) },
			"running", "importing [3.0s], 1.00M objects, 500k/s, 20 ranges, 1 partition open",
		},
		{
			4, func(now time.Time) { p.miss(now, refused) },
			"lost", "waiting for the coordinator for 0.0s (connection refused), 1.00M objects so far, 4.0s in all",
		},
		{
			65, func(now time.Time) { p.miss(now, errors.New("odd\x1b[0m")) },
			"lost", `waiting for the coordinator for 1m1s (odd\x1b[0m), 1.00M objects so far, 1m5s in all`,
		},
		{
			66, func(now time.Time) { p.observe(now, answer(api.Running, 1_000_064, 20, 1)) },
			"running", "importing [1m6s], 1.00M objects, 1/s, 20 ranges, 1 partition open",
		},
		{
			67, func(now time.Time) { p.observe(now, answer(api.Committing, 1_000_064, 21, 0)) },
			"committing", "committing [1m7s], 1.00M objects, 21 ranges",
		},
		// From here on the service tells more, such as when the import was accepted.
		{
			68, func(now time.Time) {
				s := answer(api.Running, 0, 0, 3)
				s.Progress = api.ImportProgress{ListedObjects: 1000, ElapsedSeconds: 3600, Workers: 1}
				p.observe(now, s)
			},
			"running", "importing [1h0m0s], 1,000 objects, 0/s, 1 worker, 0 stored, 0 ranges, 3 partitions open",
		},
		{
			69, func(now time.Time) {
				s := answer(api.Running, 1_000_000, 96, 8)
				s.Progress = api.ImportProgress{
					ListedObjects: 12_345_678, EstimatedObjects: 50_000_000, EstimatedObjectsLow: 40_000_000, EstimatedObjectsHigh: 60_000_000,
					ObjectsPerSecond: 410_000.4, RemainingSeconds: 92, ElapsedSeconds: 34, Workers: 4, Throttles: 1, Retries: 3,
				}
				p.observe(now, s)
			},
			"running", "importing [34s], 12.3M of ~50.0M objects, 24%, 410k/s, about 1m30s left, 4 workers, 1.00M stored, 96 ranges, " +
				"8 partitions open, likely 40.0M to 60.0M objects, 1 throttle, 3 retries",
		},
		{
			79, func(now time.Time) { p.miss(now, refused) },
			"lost", "waiting for the coordinator for 0.0s (connection refused), 12.3M objects so far, 44s in all",
		},
		{
			80, func(now time.Time) {
				s := answer(api.Running, 1_000_000, 96, 8)
				s.Progress = api.ImportProgress{ListedObjects: 2_000_000, EstimatedObjects: 1_900_000, EstimatedObjectsLow: 1_000_000, ElapsedSeconds: 45, Retries: 1}
				p.observe(now, s)
			},
			"running", "importing [45s], 2.00M of ~1.90M objects, 99%, 0/s, 0 workers, 1.00M stored, 96 ranges, 8 partitions open, " +
				"likely at least 1.00M objects, 1 retry",
		},
		// What is known exactly is not told as an estimate.
		{
			80, func(now time.Time) {
				s := answer(api.Running, 215_000, 5, 1)
				s.Progress = api.ImportProgress{ListedObjects: 215_100, EstimatedObjects: 215_120, EstimatedObjectsLow: 215_110, EstimatedObjectsHigh: 215_130, ElapsedSeconds: 45, Workers: 1}
				p.observe(now, s)
			},
			"running", "importing [45s], 215k of ~215k objects, 99%, 0/s, 1 worker, 215k stored, 5 ranges, 1 partition open",
		},
		{
			80, func(now time.Time) {
				s := answer(api.Running, 42, 1, 1)
				s.Progress = api.ImportProgress{ListedObjects: 42, EstimatedObjects: 42, EstimatedObjectsLow: 42, EstimatedObjectsHigh: 42, ElapsedSeconds: 45}
				p.observe(now, s)
			},
			"running", "importing [45s], 42 of ~42 objects, 99%, 0/s, 0 workers, 42 stored, 1 range, 1 partition open",
		},
		{
			80, func(now time.Time) {
				s := answer(api.Running, 42, 1, 0)
				s.Progress = api.ImportProgress{ListedObjects: 42, EstimatedObjects: 42, EstimatedObjectsLow: 42, EstimatedObjectsHigh: 42, ElapsedSeconds: 45}
				p.observe(now, s)
			},
			"running", "importing [45s], 42 objects, all listed, 0 workers, 42 stored, 1 range, 0 partitions open",
		},
		{
			81, func(now time.Time) {
				s := answer(api.Committing, 2_100_000, 200, 0)
				s.Progress = api.ImportProgress{ListedObjects: 2_100_000, ElapsedSeconds: 46, TreeRanges: 120, EstimatedTreeRanges: 4000}
				p.observe(now, s)
			},
			"committing", "committing [46s], 2.10M objects, 200 ranges, 120 of about 4,000 ranges of the tree",
		},
	} {
		c.act(after(c.at))
		got := p.look(after(c.at))
		if line := strings.Join(got.parts, ", "); line != c.want || got.state != c.state {
			t.Errorf("after %vs: %s, %q, want %s, %q", c.at, got.state, line, c.state, c.want)
		}
	}
}

// The rate is that of the last window, not of the whole import, and memory does
// not grow with time.
func TestRateLooksBackOneWindow(t *testing.T) {
	p := progress{start: noon}
	objects := int64(0)
	for second := range 1000 {
		if second <= 500 {
			objects += 1000
		} else {
			objects += 10
		}
		p.observe(after(float64(second)), answer(api.Running, objects, 0, 0))
		if rate, _ := p.rate(); second == 500 && rate != 1000 {
			t.Errorf("rate after %v s is %v, want 1000", second, rate)
		}
	}
	if rate, ok := p.rate(); !ok || rate != 10 {
		t.Errorf("rate at the end is %v, want 10", rate)
	}
	if len(p.samples) > 12 {
		t.Errorf("%d samples are kept", len(p.samples))
	}
}

func TestDrawn(t *testing.T) {
	parts := []string{"importing for 3.0s", "200 objects", "100/s", "1 range"} // of 18, 11, 5 and 7 columns
	for _, c := range []struct {
		name  string
		width int
		warns bool
		color bool
		want  string
	}{
		{"wide", 100, false, true, "\r\x1b[Kimporting for 3.0s, 200 objects, 100/s, 1 range"},
		{"just fits", 48, false, true, "\r\x1b[Kimporting for 3.0s, 200 objects, 100/s, 1 range"},
		{"narrow", 47, false, true, "\r\x1b[Kimporting for 3.0s, 200 objects, 100/s"},
		{"the second part is too long", 28, false, true, "\r\x1b[Kimporting for 3.0s, 100/s"},
		{"room for one part", 25, false, true, "\r\x1b[Kimporting for 3.0s"},
		{"narrower", 10, false, true, "\r\x1b[Kimporting"},
		{"no room", 1, false, true, "\r\x1b[K"},
		{"a warning", 32, true, true, "\r\x1b[K\x1b[33mimporting for 3.0s, 200 objects\x1b[0m"},
		{"a warning without color", 32, true, false, "\r\x1b[Kimporting for 3.0s, 200 objects"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := drawn(look{parts: parts, warns: c.warns}, c.width, c.color)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 𝄞":          "plain ü 𝄞",
		"\x1b]0;title\a":     `\x1b]0;title\a`,
		"two\nlines\t":       `two\nlines\t`,
		"\xff and \uFFFD":    `\xff and ` + "\uFFFD",
		"right\u202eto left": `right\u202eto left`,
		"it's":               "it's",
		"tab'\t'":            `tab'\t'`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 100000: "100,000"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0", 9999: "9,999", 10_000: "10.0k", 12_345: "12.3k", 99_950: "100k", 999_499: "999k", 999_500: "1.00M",
		1_234_567: "1.23M", 410_000_000: "410M", 12_300_000_000: "12.3G", math.MaxInt64: "9.22E",
	} {
		if got := short(n); got != want {
			t.Errorf("short(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 12_345: "12.1 KiB", 1 << 20: "1.00 MiB", 1<<20 - 1: "1.00 MiB", 5 << 40: "5.00 TiB", math.MaxInt64: "8.00 EiB",
	} {
		if got := sized(n); got != want {
			t.Errorf("sized(%d) = %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		340 * time.Millisecond: "0.3s", 9990 * time.Millisecond: "10.0s", 75900 * time.Millisecond: "1m15s",
	} {
		if got := lasting(d); got != want {
			t.Errorf("lasting(%v) = %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 42400 * time.Millisecond: "42s", 119 * time.Second: "2m0s", 9*time.Minute + 4*time.Second: "9m0s", 14*time.Minute + 40*time.Second: "15m",
		59*time.Minute + 50*time.Second: "1h0m", 26 * time.Hour: "26h0m",
	} {
		if got := roughly(d); got != want {
			t.Errorf("roughly(%v) = %s, want %s", d, got, want)
		}
	}
}
