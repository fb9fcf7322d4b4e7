package ctl

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
)

// window is the time over which the shown rate is measured.
const window = 10 * time.Second

// progress is what is known of a running import, and how it is shown. It has no clock:
// callers pass the time.
type progress struct {
	start   time.Time
	samples []sample // of the last window, oldest first
	last    api.ImportStatusResp
	lost    error     // why the last poll failed; nil if it succeeded
	since   time.Time // of the first poll that failed, while lost is set
}

type sample struct {
	at      time.Time
	objects int64
}

// observe adds an answer that came at now.
func (p *progress) observe(now time.Time, s api.ImportStatusResp) {
	p.last, p.lost = s, nil
	p.samples = append(p.samples, sample{now, s.IngestedObjects})
	// One sample from before the window is kept, so that the rate spans all of it.
	for len(p.samples) > 2 && now.Sub(p.samples[1].at) >= window {
		p.samples = p.samples[1:]
	}
}

// miss adds a poll that failed at now.
func (p *progress) miss(now time.Time, err error) {
	if p.lost == nil {
		p.since = now
	}
	p.lost = err
}

// met reports whether a poll ever succeeded.
func (p *progress) met() bool { return len(p.samples) > 0 }

// lostFor returns for how long polls have failed, 0 if the last one succeeded.
func (p *progress) lostFor(now time.Time) time.Duration {
	if p.lost == nil {
		return 0
	}
	return now.Sub(p.since)
}

// rate returns objects per second over the window; ok is false if there are too few samples.
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

// line describes the progress at now in one line.
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

// cause returns the last part of an error, without the call that failed.
func cause(err error) string {
	if call, ok := errors.AsType[*url.Error](err); ok {
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

// redraw returns what a terminal of that width must be sent to show the progress at now.
func (p *progress) redraw(now time.Time, frame, width int, color bool) string {
	return redraw(p.line(now), p.lost != nil, frame, width, color)
}

// redraw returns what a terminal of that width must be sent to show a line in place of the
// previous one. It never reaches the last column, where terminals wrap.
func redraw(text string, warns bool, frame, width int, color bool) string {
	head := string(spinner[frame%len(spinner)])
	line := []rune(text)
	if room := max(width-3, 0); len(line) > room {
		line = line[:room]
	}
	if !color {
		return clearLine + head + " " + string(line)
	}
	paint := ""
	if warns {
		paint = yellow
	}
	return clearLine + dim + head + plain + " " + paint + string(line) + plain
}
