package ctl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// window is the time over which the rate is measured if the service does not tell it.
const window = 10 * time.Second

// The states of a watched import before and between its phases.
const (
	stateStarting = "starting" // there is no sign of progress yet
	stateLost     = "lost"     // the coordinator does not answer
)

// progress is what is known of a running import. It has no clock: callers pass the time.
type progress struct {
	id      string
	start   time.Time // of the watch; of the import, if the watch started it
	samples []sample  // of the last window, oldest first
	last    api.ImportStatusResp
	at      time.Time // when last came
	lost    error     // why the last poll failed; nil if it succeeded
	since   time.Time // of the first poll that failed, while lost is set
	asked   time.Time // when the poll began that is not answered yet; zero if there is none
}

type sample struct {
	at      time.Time
	objects int64
}

// silentAfter is after how long without an answer of a poll that is said.
const silentAfter = 2 * time.Second

// ask notes that a poll begins now.
func (p *progress) ask(now time.Time) { p.asked = now }

// observe adds an answer that came at now.
func (p *progress) observe(now time.Time, s api.ImportStatusResp) {
	p.last, p.at, p.lost, p.asked = s, now, nil, time.Time{}
	p.samples = append(p.samples, sample{now, s.IngestedObjects})
	// One sample from before the window is kept, so that the rate spans all of it.
	for len(p.samples) > 2 && now.Sub(p.samples[1].at) >= window {
		p.samples = p.samples[1:]
	}
}

// miss adds a poll that failed at now.
func (p *progress) miss(now time.Time, err error) {
	if p.lost == nil {
		if p.since = now; !p.asked.IsZero() {
			p.since = p.asked
		}
	}
	p.lost, p.asked = err, time.Time{}
}

// silentFor returns for how long a poll has not been answered, 0 if that is not worth telling.
func (p *progress) silentFor(now time.Time) time.Duration {
	if silent := now.Sub(p.asked); !p.asked.IsZero() && silent >= silentAfter {
		return silent
	}
	return 0
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
func (p *progress) rate() (perSecond float64, ok bool) {
	if len(p.samples) < 2 {
		return 0, false
	}
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds < 0.05 {
		return 0, false
	}
	return float64(last.objects-first.objects) / seconds, true
}

// state is the state at the last poll.
func (p *progress) state() string {
	switch {
	case p.lost != nil:
		return stateLost
	case !p.met(), importing(p.last) && p.last.IngestedObjects == 0 && p.last.Progress.ListedObjects == 0:
		return stateStarting
	}
	return string(p.last.Phase)
}

// importing reports whether objects are being listed. The answers of a lakeFS server have no
// phase.
func importing(s api.ImportStatusResp) bool { return s.Phase == api.Running || s.Phase == "" }

// summary is the state of the import at now.
func (p *progress) summary(now time.Time) summary {
	sum := summarize(p.id, p.last)
	if sum.ImportProgress != nil {
		sum.ElapsedSeconds = rounded(duration(p.last.Progress.ElapsedSeconds) + now.Sub(p.at))
		return sum
	}
	sum.ElapsedSeconds = rounded(now.Sub(p.start))
	if rate, ok := p.rate(); ok && importing(p.last) {
		sum.setRate(rate)
	}
	return sum
}

// total is the state of an import that has ended, at now. If the service does not tell how long it
// took, that is the time of the watch, if that started the import.
func (p *progress) total(now time.Time, started bool) summary {
	sum := summarize(p.id, p.last)
	if elapsed := rounded(now.Sub(p.start)); sum.ImportProgress == nil && started && elapsed > 0 {
		sum.ElapsedSeconds = elapsed
		sum.setRate(float64(sum.IngestedObjects) / sum.ElapsedSeconds)
	}
	return sum
}

// look is how the state of the import at now is shown.
func (p *progress) look(now time.Time) look {
	sum := p.summary(now)
	elapsed := lasting(duration(sum.ElapsedSeconds))
	at := look{state: p.state(), line: &sum}
	switch {
	case p.lost != nil:
		why := reason(p.lost)
		sum.Problem = "the coordinator does not answer: " + why
		waiting := fmt.Sprintf("waiting for the coordinator for %s (%s)", lasting(p.lostFor(now)), printable(why))
		at.parts, at.warns = []string{waiting, objects(sum.listed()) + " so far", elapsed + " in all"}, true
	case !p.met():
		at.parts = []string{fmt.Sprintf("starting [%s]", elapsed)}
	case importing(p.last):
		at.parts = append([]string{fmt.Sprintf("importing [%s]", elapsed)}, sum.listing()...)
	default:
		at.parts = append([]string{fmt.Sprintf("%s [%s]", sum.Phase, elapsed)}, sum.landing()...)
	}
	if silent := p.silentFor(now); silent > 0 && p.lost == nil {
		said := "no answer for " + roughly(silent.Truncate(time.Second))
		at.parts, at.warns = slices.Insert(at.parts, 1, said), true
		if sum.Problem == "" {
			sum.Problem = "the coordinator has given " + said
		}
	}
	return at
}

// listing describes how far the listing of an import is, the most important first.
func (sum *summary) listing() (parts []string) {
	if sum.listed() == 0 {
		return append([]string{"nothing listed yet"}, sum.trouble()...)
	}
	told := sum.ImportProgress
	if told == nil {
		told = &api.ImportProgress{}
	}
	switch {
	case sum.allListed():
		parts = append(parts, objects(sum.listed()), "all listed")
	case told.EstimatedObjects > 0:
		percent := min(100*sum.listed()/told.EstimatedObjects, 99) // it has not ended
		parts = append(parts, fmt.Sprintf("%s of ~%s objects", short(sum.listed()), short(told.EstimatedObjects)), fmt.Sprintf("%d%%", percent))
	default:
		parts = append(parts, objects(sum.listed()))
	}
	if sum.ObjectsPerSecond != nil && !sum.allListed() {
		parts = append(parts, short(int64(*sum.ObjectsPerSecond))+"/s")
	}
	if told.RemainingSeconds > 0 {
		parts = append(parts, "about "+roughly(duration(told.RemainingSeconds))+" left")
	}
	if sum.ImportProgress != nil {
		parts = append(parts, counted(int64(told.Workers), "worker"), short(sum.IngestedObjects)+" stored")
	}
	parts = append(parts, counted(int64(sum.Ranges), "range"), counted(int64(sum.Partitions), "partition")+" open")
	if likely := sum.likely(short); likely != "" {
		parts = append(parts, "likely "+likely+" objects")
	}
	return append(parts, sum.trouble()...)
}

// landing describes how far an import is whose objects are all listed.
func (sum *summary) landing() []string {
	parts := []string{objects(sum.listed()), counted(int64(sum.Ranges), "range")}
	if told := sum.ImportProgress; told != nil && told.TreeRanges > 0 {
		tree := grouped(int64(told.TreeRanges))
		if told.EstimatedTreeRanges > 0 {
			tree += " of about " + grouped(int64(told.EstimatedTreeRanges))
		}
		parts = append(parts, tree+" ranges of the tree")
	}
	return append(parts, sum.trouble()...)
}

// trouble counts what went wrong, if anything did.
func (sum *summary) trouble() (parts []string) {
	if sum.ImportProgress == nil {
		return nil
	}
	if sum.Throttles > 0 {
		parts = append(parts, counted(sum.Throttles, "throttle"))
	}
	if sum.Retries > 0 {
		parts = append(parts, grouped(sum.Retries)+" "+retries(sum.Retries))
	}
	return parts
}

func retries(n int64) string {
	if n == 1 {
		return "retry"
	}
	return "retries"
}

func objects(n int64) string { return short(n) + " " + plural(n, "object") }

// reason returns the last part of an error, without the call that failed.
func reason(err error) string {
	if silent, ok := errors.AsType[*client.Unreachable](err); ok {
		return silent.Reason()
	}
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return text
}

// rounded returns a duration in seconds as results have it.
func rounded(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
