package coordinator

import (
	"context"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Costly steps of an import, and their phases.
const (
	stepPlan     = "plan"
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

// noteWait bounds how long a driver tries to note that a step is over.
const noteWait = 5 * time.Second

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
		s.imp.metrics.stepTime.WithLabelValues(step).Observe(time.Since(begun).Seconds())
	}, nil
}

// reportIfSlow reports in the import's status that a step takes long, unless stop is
// called in time. The report goes once the import gets on.
func (s *stepRunner) reportIfSlow(ctx context.Context, step, store string) (stop func() bool) {
	problem := fmt.Sprintf("the commit takes long: files in %s are read and stored", store)
	if step == stepPlan {
		problem = fmt.Sprintf("the first page of %s is waited for", store)
	}
	return time.AfterFunc(s.limits.slow[step], func() { _, _ = s.imp.report(ctx, problem) }).Stop
}

// survive runs a step that may take more memory than there is. Before the step, the
// record notes that it is begun. The result of the step, recorded or an error, takes the
// note back. A process that ends within the step leaves the note behind. After
// imports.MaxBegun such notes the import fails, so that it does not end further
// processes.
//
// A process that ends leaves a note for every import in a step, also for those that did
// no harm. From then on these steps run one at a time, so that only the import at fault
// gets another note.
func (s *stepRunner) survive(ctx context.Context, step func() error) error {
	record, err := s.imp.record(ctx)
	if err != nil {
		return err
	}
	begin := imports.Record.Begin
	if s.survived { // but could not take the note back
		begin = imports.Record.BeginAgain
	} else if record.Begun > 0 {
		done, err := s.limits.deadly.take(ctx, "")
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
	if err != nil {
		s.noteSurvived(ctx)
		return err
	}
	return nil
}

// noteSurvived takes back the note of a step that has no result, also if the process is
// told to end.
func (s *stepRunner) noteSurvived(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWait)
	defer cancel()
	if _, err := s.imp.apply(ctx, imports.Record.Survive); err != nil {
		s.imp.log.Debug("note that a step is over", "err", err)
	}
}

// storeOf returns the store of a URI: its scheme and bucket.
func storeOf(uri string) string {
	u, err := objectstore.ParseURI(uri)
	if err != nil {
		return uri // whoever opens it reports the error
	}
	return u.Scheme + "://" + u.Bucket
}
