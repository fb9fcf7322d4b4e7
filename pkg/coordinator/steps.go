package coordinator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// noteWait bounds how long a driver tries to note that a step is over.
const noteWait = 5 * time.Second

// Costly steps of an import, and their phases.
const (
	stepPlan     = "plan"
	stepList     = "list" // by workers: it is not limited here
	stepCommit   = "commit"
	phaseWaiting = "waiting"
	phaseRunning = "running"
)

// How many imports a process plans and commits at a time: together, and of one
// store, so that a slow one does not hold up the others.
const (
	plansAll    = 64
	plansEach   = 32
	commitsAll  = 16
	commitsEach = 8
)

// stepLimits bound how many costly steps run in this process at a time.
type stepLimits struct {
	of     map[string]*limiter // by step
	deadly *limiter            // for steps that may have ended a coordinator: one at a time

	// slow is how long an import may wait for a step and be in it, together, before its
	// status says so. The first page of a source takes a moment, and the commit of a large
	// import longer.
	slow map[string]time.Duration
}

func newStepLimits() stepLimits {
	return stepLimits{
		of:     map[string]*limiter{stepPlan: newLimiter(plansAll, plansEach), stepCommit: newLimiter(commitsAll, commitsEach)},
		deadly: newLimiter(1, 1),
		slow:   map[string]time.Duration{stepPlan: 10 * time.Second, stepCommit: 2 * time.Minute},
	}
}

// stepRunner runs the costly steps of one import. It is for one goroutine.
type stepRunner struct {
	imp      *importHandle
	limits   stepLimits
	survived bool // this process got through every step that the record notes as begun
}

// begin waits until the step may run, by the limits of its kind and of the store that it
// depends on. The caller calls done after it.
func (s *stepRunner) begin(ctx context.Context, step, store string) (done func(), err error) {
	waiting := s.imp.metrics.steps.WithLabelValues(step, phaseWaiting)
	waiting.Inc()
	defer s.imp.waits()()
	inTime := s.reportIfSlow(ctx, step, store)
	leave, err := s.limits.of[step].take(ctx, store)
	waiting.Dec()
	if err != nil {
		inTime()
		return nil, err
	}
	running, begun := s.imp.metrics.steps.WithLabelValues(step, phaseRunning), time.Now()
	running.Inc()
	return func() {
		inTime()
		leave()
		running.Dec()
		metric.Observe(s.imp.metrics.stepTime.WithLabelValues(step), time.Since(begun).Seconds(), tracing.ID(ctx))
	}, nil
}

// reportIfSlow reports in the import's status that a step takes long, unless stop is
// called in time. The report goes once the import gets on.
func (s *stepRunner) reportIfSlow(ctx context.Context, step, store string) (stop func() bool) {
	problem := fmt.Sprintf("the commit takes long: files in %s are read and stored", store)
	if step == stepPlan {
		problem = fmt.Sprintf("the first page of %s is waited for", store)
	}
	return time.AfterFunc(s.limits.slow[step], func() { s.imp.report(ctx, problem) }).Stop
}

// survive runs a step that may take more memory than there is. The record notes the step
// before it begins, and its result, recorded or an error, takes the note back. After
// imports.MaxBegun notes that processes left behind, the import fails. A process that ends
// leaves a note for every import in a step, so these steps run one at a time from then on:
// only the import at fault gets another note.
func (s *stepRunner) survive(ctx context.Context, step func() error) error {
	record, err := s.imp.record(ctx)
	if err != nil {
		return err
	}
	begin := imports.Record.Begin
	if s.survived { // but could not take the note back
		begin = imports.Record.BeginAgain
	} else if record.Begun > 0 {
		goOn := s.imp.waits()
		done, err := s.limits.deadly.take(ctx, "")
		goOn()
		if err != nil {
			return err
		}
		defer done()
	}
	if _, err := s.imp.apply(ctx, begin); err != nil {
		return err
	}
	err = step()
	s.survived = true
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWait) // also if the process is told to end
	defer cancel()
	if _, err := s.imp.apply(ctx, imports.Record.Survive); err != nil {
		s.imp.log.DebugContext(ctx, "note that a step is over", "err", err)
	}
	return err
}

// storeOf returns the store of a URI: its scheme and bucket.
func storeOf(uri string) string {
	u, err := objectstore.ParseURI(uri)
	if err != nil {
		return uri // whoever opens it reports the error
	}
	return u.Scheme + "://" + u.Bucket
}

// limiter is a semaphore with a bound for all users and one for the users of each key, so
// that what is slow under one key does not delay other keys. The users of a key are served
// in the order of arrival. Its methods may be called concurrently.
type limiter struct {
	all  chan struct{}
	each int

	mu   sync.Mutex
	keys map[string]*perKey // those with users
}

type perKey struct {
	slots chan struct{} // holds a value for each user that has its turn, or waits for one of all
	users int           // that have or wait for a turn
}

// newLimiter returns a limiter to the given number of users at a time, of all keys and of
// each key. Both are at least 1.
func newLimiter(all, each int) *limiter {
	return &limiter{all: make(chan struct{}, all), each: each, keys: make(map[string]*perKey)}
}

// take waits for a turn, or until ctx ends. The caller gives the turn back by one call of
// done.
func (l *limiter) take(ctx context.Context, key string) (done func(), err error) {
	mine := l.join(key)
	select {
	case mine.slots <- struct{}{}:
	case <-ctx.Done():
		l.quit(key)
		return nil, ctx.Err()
	}
	select {
	case l.all <- struct{}{}:
	case <-ctx.Done():
		<-mine.slots
		l.quit(key)
		return nil, ctx.Err()
	}
	return func() {
		<-l.all
		<-mine.slots
		l.quit(key)
	}, nil
}

func (l *limiter) join(key string) *perKey {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.keys[key]
	if mine == nil {
		mine = &perKey{slots: make(chan struct{}, l.each)}
		l.keys[key] = mine
	}
	mine.users++
	return mine
}

func (l *limiter) quit(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.keys[key]
	if mine.users--; mine.users == 0 {
		delete(l.keys, key)
	}
}
