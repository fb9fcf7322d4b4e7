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
	signPoll    = 500 * time.Millisecond // the longest pause before the first sign of progress
	maxPoll     = time.Second            // and afterwards
	signWithin  = 30 * time.Second       // for how long the first sign is waited for like this
	giveUpAfter = 5 * time.Minute        // without an answer of the coordinator
	pollWithin  = 10 * time.Second       // one poll
	lateAfter   = 200 * time.Millisecond // a line that is due waits so long for the answer of a poll
)

// watch polls an import until it ends, and shows its progress. Outages of the coordinator
// that are shorter than giveUpAfter do not end it.
type watch struct {
	app     *app
	polls   *client.Client // with one attempt per call: the loop retries
	target  imported
	display *display
	seen    progress
	problem string // that was shown last
}

// imported names an import.
type imported struct {
	place place
	id    string
}

// follow watches an import. start is when it was started, if this command did that, and else
// now. The error is a failure if the import did not complete; what was seen last is returned
// anyway.
func follow(ctx context.Context, a *app, what imported, start time.Time) (progress, error) {
	polls, err := a.client(client.Config{Attempts: 1, Timeout: pollWithin})
	if err != nil {
		return progress{}, err
	}
	d, err := newDisplay(a, stateStarting)
	if err != nil {
		return progress{}, err
	}
	w := &watch{app: a, polls: polls, target: what, display: d, seen: progress{id: what.id, start: start}}
	err = w.loop(ctx)
	d.clear()
	if ctx.Err() != nil {
		a.sayHowToReturn("detached; the import goes on", what)
		return w.seen, &failure{code: Interrupted}
	}
	return w.seen, err
}

func (w *watch) loop(ctx context.Context) error {
	for pause := firstPoll; ; pause = w.next(pause) {
		begun := w.app.sys.Now()
		s, err := w.poll(ctx)
		now := w.app.sys.Now()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if ended, err := w.take(ctx, now, s, err); ended || err != nil {
			return err
		}
		w.display.show(w.seen.look(now))
		// A poll just before the next line is due would leave that line out until the poll after.
		wait := max(min(pause-now.Sub(begun), w.display.dueIn()), firstPoll, client.RetryAfter(err))
		if err := w.rest(ctx, now.Add(wait)); err != nil {
			return err
		}
	}
}

// poll asks how far the import is. What is shown goes on while the answer is waited for.
func (w *watch) poll(ctx context.Context) (s api.ImportStatusResp, err error) {
	done, what := make(chan struct{}), w.target
	w.seen.ask(w.app.sys.Now())
	go func() {
		defer close(done)
		s, err = w.polls.ImportStatus(ctx, what.place.repository, what.place.ref, what.id)
	}()
	for late := lateAfter; !w.app.sys.Await(done, max(w.display.dueIn(), 0)+late); late = 0 {
		w.display.show(w.seen.look(w.app.sys.Now()))
	}
	return s, err
}

// take takes in the answer of a poll that came now. It reports whether the import has ended. The
// error ends the watch.
func (w *watch) take(ctx context.Context, now time.Time, s api.ImportStatusResp, err error) (over bool, failed error) {
	switch {
	case err == nil:
		if w.seen.observe(now, s); ended(s) {
			return true, nil
		}
		w.showProblem(s.Problem)
	case !client.Transient(err) && !w.seen.met():
		return false, unknown(ctx, w.app, w.target, err)
	default:
		if w.seen.miss(now, err); !client.Transient(err) || w.seen.lostFor(now) >= giveUpAfter {
			w.display.clear()
			w.app.sayHowToReturn("the coordinator does not answer; the import may go on", w.target)
			return false, &failure{code: Unknown, err: fmt.Errorf("waiting for the coordinator: %w", hinted(err))}
		}
	}
	return false, nil
}

// rest waits until the next poll. What is shown goes on.
func (w *watch) rest(ctx context.Context, until time.Time) error {
	for {
		now := w.app.sys.Now()
		left := until.Sub(now)
		if left <= 0 {
			return nil
		}
		due := w.display.dueIn()
		if due <= 0 {
			w.display.show(w.seen.look(now))
			due = left
		}
		if err := w.app.sys.Sleep(ctx, min(left, due)); err != nil {
			return err
		}
	}
}

// next returns the pause after the one that follows a pause. Until there is a sign of progress
// the pauses are shorter, but not for ever: an import may have to wait for workers.
func (w *watch) next(pause time.Duration) time.Duration {
	longest := maxPoll
	if w.seen.state() == stateStarting && w.app.sys.Now().Sub(w.seen.start) < signWithin {
		longest = signPoll
	}
	return min(pause*3/2, longest)
}

// showProblem shows, once, what keeps the import from making progress: the user may be
// able to solve it.
func (w *watch) showProblem(problem string) {
	if problem == w.problem {
		return
	}
	w.problem = problem
	switch w.display.style {
	case styleNone:
	case styleJSON:
		w.display.state = "" // the next line, which has the problem, is due at once
	default:
		if problem != "" {
			w.display.clear()
			w.app.say(notice{Message: "problem: " + problem, ID: w.target.id})
		}
	}
}

// sayHowToReturn says how to watch an import again, and how to stop it.
func (a *app) sayHowToReturn(why string, what imported) {
	where := fmt.Sprintf("%s %s", what.place.root(), what.id)
	if a.endpoint != "" {
		where += " --endpoint " + a.endpoint
	}
	a.insist(notice{Message: why, ID: what.id, Watch: "rangectl status --watch " + where, Cancel: "rangectl cancel " + where})
}
