package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

const (
	firstPoll   = 100 * time.Millisecond // a small import takes less than a second
	maxPoll     = time.Second
	frameEvery  = 200 * time.Millisecond // on a terminal
	lineEvery   = 10 * time.Second       // elsewhere
	giveUpAfter = 5 * time.Minute        // without an answer of the coordinator
)

// watch polls an import until it ends, and shows its progress. Outages of the coordinator
// that are shorter than giveUpAfter do not end it.
type watch struct {
	app     *app
	polls   *client.Client // with one attempt per call: the loop retries
	target  imported
	mode    string // tty, plain or none
	seen    progress
	frame   int
	printed time.Time // when the last line was printed
	state   string    // of that line, without the numbers
	problem string    // that was shown last
}

// imported names an import.
type imported struct {
	place place
	id    string
}

// follow watches an import. The error is a failure if the import did not complete; the
// answer is set if the import ended.
func follow(ctx context.Context, a *app, what imported, mode string, start time.Time) (api.ImportStatusResp, error) {
	polls, err := a.client(client.Config{Attempts: 1, Timeout: 10 * time.Second})
	if err != nil {
		return api.ImportStatusResp{}, err
	}
	w := &watch{app: a, polls: polls, target: what, mode: mode, seen: progress{start: start}}
	s, err := w.loop(ctx)
	w.clear()
	if ctx.Err() != nil {
		a.sayHowToReturn("detached; the import goes on", what)
		return s, &failure{code: Interrupted}
	}
	return s, err
}

func (w *watch) loop(ctx context.Context) (api.ImportStatusResp, error) {
	what := w.target
	for pause := firstPoll; ; pause = min(pause*3/2, maxPoll) {
		s, err := w.polls.ImportStatus(ctx, what.place.repository, what.place.ref, what.id)
		now := w.app.sys.Now()
		switch {
		case ctx.Err() != nil:
			return s, ctx.Err()
		case err == nil:
			if w.seen.observe(now, s); ended(s) {
				return s, nil
			}
			w.showProblem(s.Problem)
		case !client.Transient(err) && !w.seen.met():
			return s, unknown(what, err)
		default:
			if w.seen.miss(now, err); !client.Transient(err) || w.seen.lostFor(now) >= giveUpAfter {
				w.clear()
				w.app.sayHowToReturn("the coordinator does not answer; the import may go on", what)
				return s, &failure{Unknown, fmt.Errorf("waiting for the coordinator: %w", hinted(err))}
			}
		}
		if err := w.wait(ctx, pause); err != nil {
			return s, err
		}
	}
}

// ended reports whether an import has ended. The answers of a lakeFS server have no phase.
func ended(s api.ImportStatusResp) bool {
	return s.Completed || s.Error.Message != "" || s.Phase == api.Failed || s.Phase == api.Canceled || s.Phase == api.Previewed
}

// wait shows the progress until the pause is over.
func (w *watch) wait(ctx context.Context, pause time.Duration) error {
	sys := w.app.sys
	if w.mode != "tty" {
		w.printLine()
		return sys.Sleep(ctx, pause)
	}
	for left := pause; left > 0; left -= frameEvery {
		fmt.Fprint(sys.Err, w.seen.redraw(sys.Now(), w.frame, sys.Width(), sys.Getenv("NO_COLOR") == ""))
		w.frame++
		if err := sys.Sleep(ctx, min(left, frameEvery)); err != nil {
			return err
		}
	}
	return nil
}

// printLine prints a line if the state has changed, or the last line is old.
func (w *watch) printLine() {
	now, state := w.app.sys.Now(), string(w.seen.last.Phase)
	if w.seen.lost != nil {
		state = "lost"
	}
	if w.mode != "plain" || (state == w.state && now.Sub(w.printed) < lineEvery) {
		return
	}
	w.printed, w.state = now, state
	fmt.Fprintln(w.app.sys.Err, w.seen.line(now))
}

// showProblem shows, once, what keeps the import from making progress: the user may be
// able to solve it.
func (w *watch) showProblem(problem string) {
	if w.mode == "none" || problem == w.problem {
		return
	}
	if w.problem = problem; problem != "" {
		w.clear()
		fmt.Fprintf(w.app.sys.Err, "problem: %s\n", printable(problem))
	}
}

func (w *watch) clear() {
	if w.mode == "tty" {
		fmt.Fprint(w.app.sys.Err, clearLine)
	}
}

// sayHowToReturn says how to watch an import again, and how to stop it.
func (a *app) sayHowToReturn(why string, what imported) {
	where := fmt.Sprintf("%s %s", what.place.root(), what.id)
	if a.endpoint != "" {
		where += " --endpoint " + a.endpoint
	}
	fmt.Fprintf(a.sys.Err, "%s\n  watch it:   rangectl status --watch %s\n  cancel it:  rangectl cancel %s\n", why, where, where)
}

// progressMode checks --progress and decides what auto means.
func (a *app) progressMode(flag string) (string, error) {
	switch flag {
	case "tty", "plain", "none":
		return flag, nil
	case "auto":
		if a.sys.Width() > 0 && a.sys.Getenv("TERM") != "dumb" {
			return "tty", nil
		}
		return "plain", nil
	default:
		return "", usage("--progress %q: want auto, tty, plain or none", flag)
	}
}
