package ctl

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func answer(phase api.ImportPhase, objects int64, ranges, partitions int) api.ImportStatusResp {
	return api.ImportStatusResp{Phase: phase, IngestedObjects: objects, Ranges: ranges, Partitions: partitions}
}

func TestProgressLine(t *testing.T) {
	refused := &url.Error{Op: "Get", URL: "http://x", Err: errors.New("dial tcp 1.2.3.4:8000: connect: connection refused")}
	p := progress{start: noon}
	for _, c := range []struct {
		at   float64
		act  func(now time.Time)
		want string
	}{
		{0.2, func(time.Time) {}, "starting, 0s"},
		{
			1, func(now time.Time) { p.observe(now, answer(api.Running, 1, 1, 4)) },
			"importing, 1 object, 1 range, 4 partitions open, 1s",
		},
		{
			3, func(now time.Time) { p.observe(now, answer(api.Running, 1_000_001, 20, 1)) },
			"importing, 1,000,001 objects, 500,000/s, 20 ranges, 1 partition open, 3s",
		},
		{
			4, func(now time.Time) { p.miss(now, refused) },
			"waiting for the coordinator for 0s (connection refused), 1,000,001 objects so far, 4s",
		},
		{
			65, func(now time.Time) { p.miss(now, errors.New("odd\x1b[0m")) },
			`waiting for the coordinator for 1m1s (odd\x1b[0m), 1,000,001 objects so far, 1m5s`,
		},
		{
			66, func(now time.Time) { p.observe(now, answer(api.Running, 1_000_064, 20, 1)) },
			"importing, 1,000,064 objects, 1/s, 20 ranges, 1 partition open, 1m6s",
		},
		{
			67, func(now time.Time) { p.observe(now, answer(api.Committing, 1_000_064, 21, 0)) },
			"committing, 1,000,064 objects, 21 ranges, 1m7s",
		},
	} {
		c.act(after(c.at))
		if got := p.line(after(c.at)); got != c.want {
			t.Errorf("after %vs: %q, want %q", c.at, got, c.want)
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
			t.Errorf("rate after %d s is %d, want 1000", second, rate)
		}
	}
	if rate, ok := p.rate(); !ok || rate != 10 {
		t.Errorf("rate at the end is %d, want 10", rate)
	}
	if len(p.samples) > 12 {
		t.Errorf("%d samples are kept", len(p.samples))
	}
}

func TestRedraw(t *testing.T) {
	p := progress{start: noon}
	p.observe(after(0), answer(api.Running, 0, 0, 1))
	p.observe(after(2), answer(api.Running, 200, 1, 1))
	lost := p
	lost.miss(after(3), errors.New("no route to host"))
	for _, c := range []struct {
		name  string
		p     progress
		frame int
		width int
		color bool
		want  string
	}{
		{"wide", p, 0, 100, false, "\r\x1b[K⠋ importing, 200 objects, 100/s, 1 range, 1 partition open, 3s"},
		{"next frame", p, 11, 100, false, "\r\x1b[K⠙ importing, 200 objects, 100/s, 1 range, 1 partition open, 3s"},
		{"narrow", p, 0, 20, false, "\r\x1b[K⠋ importing, 200 ob"},
		{"no room", p, 0, 1, false, "\r\x1b[K⠋ "},
		{"color", p, 0, 100, true, "\r\x1b[K\x1b[2m⠋\x1b[0m importing, 200 objects, 100/s, 1 range, 1 partition open, 3s\x1b[0m"},
		{"lost in color", lost, 0, 40, true, "\r\x1b[K\x1b[2m⠋\x1b[0m \x1b[33mwaiting for the coordinator for 0s (n\x1b[0m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.p.redraw(after(3), c.frame, c.width, c.color)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if !c.color && c.width > 2 && len([]rune(strings.TrimPrefix(got, clearLine))) >= c.width {
				t.Errorf("%q reaches column %d", got, c.width)
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
	got := fmt.Sprint(lasting(340*time.Millisecond), lasting(9990*time.Millisecond), lasting(75900*time.Millisecond))
	if want := fmt.Sprint("0.3s", "10.0s", "1m15s"); got != want {
		t.Errorf("lasting: %s, want %s", got, want)
	}
}
