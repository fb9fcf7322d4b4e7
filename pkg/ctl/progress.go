package ctl

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
)

// window is how far back the shown rate looks.
const window = 10 * time.Second

// progress is what is known of a running import, and its picture. It knows no
// clock: every moment is given.
type progress struct {
	start   time.Time
	samples []sample // of the last window, oldest first
	last    api.ImportStatusResp
	lost    error // why the last poll failed; nil if it did not
	since   time.Time
}

type sample struct {
	at      time.Time
	objects int64
}

// observe takes an answer that came at now.
func (p *progress) observe(now time.Time, s api.ImportStatusResp) {
	p.last, p.lost = s, nil
	p.samples = append(p.samples, sample{now, s.IngestedObjects})
	// One sample from before the window stays: the rate spans all of it.
	for len(p.samples) > 2 && now.Sub(p.samples[1].at) >= window {
		p.samples = p.samples[1:]
	}
}

// miss takes a poll that failed at now.
func (p *progress) miss(now time.Time, err error) {
	if p.lost == nil {
		p.since = now
	}
	p.lost = err
}

// met reports whether a poll ever succeeded.
func (p *progress) met() bool { return len(p.samples) > 0 }

// lostFor is for how long no poll has succeeded.
func (p *progress) lostFor(now time.Time) time.Duration {
	if p.lost == nil {
		return 0
	}
	return now.Sub(p.since)
}

// rate is objects per second over the window; not ok if too little was seen.
func (p *progress) rate() (perSecond int64, ok bool) {
	if len(p.samples) < 2 {
		return 0, false
	}
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds < 0.05 {
		return 0, false
	}
	return int64(float64(last.objects-first.objects) / seconds), true
}

// line says in one line how things are at now.
func (p *progress) line(now time.Time) string {
	objects := counted(p.last.IngestedObjects, "object")
	elapsed := now.Sub(p.start).Truncate(time.Second).String()
	if p.lost != nil {
		return "waiting for the coordinator for " + p.lostFor(now).Truncate(time.Second).String() +
			" (" + cause(p.lost) + "), " + objects + " so far, " + elapsed
	}
	if !p.met() {
		return "starting, " + elapsed
	}
	if p.last.Phase != api.Running && p.last.Phase != "" {
		return string(p.last.Phase) + ", " + objects + ", " + counted(int64(p.last.Ranges), "range") + ", " + elapsed
	}
	if rate, ok := p.rate(); ok {
		objects += ", " + grouped(rate) + "/s"
	}
	return "importing, " + objects + ", " + counted(int64(p.last.Ranges), "range") + ", " +
		counted(int64(p.last.Partitions), "partition") + " open, " + elapsed
}

// cause is the last part of an error: why, without the call that failed.
func cause(err error) string {
	var call *url.Error
	if errors.As(err, &call) {
		err = call.Err
	}
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return printable(text)
}

const (
	clearLine = "\r\x1b[K"
	dim       = "\x1b[2m"
	yellow    = "\x1b[33m"
	plain     = "\x1b[0m"
)

var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

// redraw is what a terminal of that width needs to show the line in place of
// the one before. It never reaches the last column, where terminals wrap.
func (p *progress) redraw(now time.Time, frame, width int, color bool) string {
	head := string(spinner[frame%len(spinner)])
	line := []rune(p.line(now))
	if room := max(width-3, 0); len(line) > room {
		line = line[:room]
	}
	if !color {
		return clearLine + head + " " + string(line)
	}
	paint := ""
	if p.lost != nil {
		paint = yellow
	}
	return clearLine + dim + head + plain + " " + paint + string(line) + plain
}
