package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

const (
	firstPoll  = 100 * time.Millisecond // small imports are over before a person looks
	mostPoll   = time.Second
	frameEvery = 200 * time.Millisecond // of a terminal
	lineEvery  = 10 * time.Second       // elsewhere
	patience   = 5 * time.Minute        // with a coordinator that does not answer
)

// watch polls an import until it ends, and shows how far it is. It outlives
// outages of the coordinator that are shorter than its patience.
type watch struct {
	*app
	polls   *client.Client // with one attempt per call: the loop is the retry
	import_ imported
	mode    string // tty, plain or none
	seen    progress
	frame   int
	said    time.Time // when the last line was printed
	state   string    // what that line said, less the numbers
	problem string    // that was told last
}

// imported names an import.
type imported struct {
	place
	id string
}

// follow watches an import. The error is a failure if it did not complete; the
// answer is set whenever it ended.
func (a *app) follow(ctx context.Context, what imported, mode string, start time.Time) (api.ImportStatusResp, error) {
	polls, err := a.client(client.Config{Attempts: 1, Timeout: 10 * time.Second})
	if err != nil {
		return api.ImportStatusResp{}, err
	}
	w := &watch{app: a, polls: polls, import_: what, mode: mode, seen: progress{start: start}}
	s, err := w.loop(ctx)
	w.clear()
	if ctx.Err() != nil {
		a.sayComeBack("detached; the import goes on", what)
		return s, &failure{code: Interrupted}
	}
	return s, err
}

func (w *watch) loop(ctx context.Context) (api.ImportStatusResp, error) {
	what := w.import_
	for pause := firstPoll; ; pause = min(pause*3/2, mostPoll) {
		s, err := w.polls.ImportStatus(ctx, what.repository, what.ref, what.id)
		now := w.Now()
		switch {
		case ctx.Err() != nil:
			return s, ctx.Err()
		case err == nil:
			if w.seen.observe(now, s); ended(s) {
				return s, nil
			}
			w.tell(s.Problem)
		case !client.Transient(err) && !w.seen.met():
			return s, unknown(what, err)
		default:
			if w.seen.miss(now, err); !client.Transient(err) || w.seen.lostFor(now) >= patience {
				w.clear()
				w.sayComeBack("contact was lost; the import may go on", what)
				return s, &failure{Unknown, fmt.Errorf("waiting for the coordinator: %w", hinted(err))}
			}
		}
		if err := w.wait(ctx, pause); err != nil {
			return s, err
		}
	}
}

// ended reports whether an import has ended. A lakeFS server names no phase.
func ended(s api.ImportStatusResp) bool {
	return s.Completed || s.Error.Message != "" || s.Phase == api.Failed || s.Phase == api.Canceled || s.Phase == api.Previewed
}

// wait shows the progress for the length of the pause.
func (w *watch) wait(ctx context.Context, pause time.Duration) error {
	if w.mode != "tty" {
		w.say()
		return w.Sleep(ctx, pause)
	}
	for left := pause; left > 0; left -= frameEvery {
		fmt.Fprint(w.Err, w.seen.redraw(w.Now(), w.frame, w.Width(), w.Getenv("NO_COLOR") == ""))
		w.frame++
		if err := w.Sleep(ctx, min(left, frameEvery)); err != nil {
			return err
		}
	}
	return nil
}

// say prints a line, if there is something new or the last one is old.
func (w *watch) say() {
	now, state := w.Now(), string(w.seen.last.Phase)
	if w.seen.lost != nil {
		state = "lost"
	}
	if w.mode != "plain" || (state == w.state && now.Sub(w.said) < lineEvery) {
		return
	}
	w.said, w.state = now, state
	fmt.Fprintln(w.Err, w.seen.line(now))
}

// tell says why the import does not get on, once: who waits may be able to mend it.
func (w *watch) tell(problem string) {
	if w.mode == "none" || problem == w.problem {
		return
	}
	if w.problem = problem; problem != "" {
		w.clear()
		fmt.Fprintf(w.Err, "problem: %s\n", printable(problem))
	}
}

func (w *watch) clear() {
	if w.mode == "tty" {
		fmt.Fprint(w.Err, clearLine)
	}
}

// sayComeBack says how to see an import again, and how to stop it.
func (a *app) sayComeBack(why string, what imported) {
	where := fmt.Sprintf("%s %s", what.root(), what.id)
	if a.endpoint != "" {
		where += " --endpoint " + a.endpoint
	}
	fmt.Fprintf(a.Err, "%s\n  come back:  rangectl status --watch %s\n  cancel it:  rangectl cancel %s\n", why, where, where)
}

// progressMode checks --progress and decides what auto means.
func (a *app) progressMode(flag string) (string, error) {
	switch flag {
	case "tty", "plain", "none":
		return flag, nil
	case "auto":
		if a.Width() > 0 && a.Getenv("TERM") != "dumb" {
			return "tty", nil
		}
		return "plain", nil
	default:
		return "", usage("--progress %q: want auto, tty, plain or none", flag)
	}
}
