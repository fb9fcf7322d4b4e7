package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/branchqueue"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/landing"
)

// unknownWithin bounds how long drivers try to learn whether a merge landed that the server
// does not let them fence: as long as the branch is dirty, for example. While the server is
// out of reach, nothing can be decided. A driver tries unknownTries times at least, however
// long all coordinators were away.
const (
	unknownWithin = 30 * time.Minute
	unknownTries  = 3
)

// Metadata of the commits of an import on a lakeFS server. Callers cannot set it.
const (
	importKey = lakefs.Reserved + "import" // the ID of the import
	userKey   = lakefs.Reserved + "user"   // who started it
)

// serverLander lands an import on a branch of a lakeFS server, as pkg/landing decides.
type serverLander struct {
	permission permission
	imp        *importHandle
	home       *serverHome
	server     *lakefs.Session // of the service account, as of home
	callers    *callers
	trees      *treeMaker
	landings   landing.Config

	attempt imports.Attempt // what the last tree was
	dead    *landing.State  // of the record, if the last call of land saw that no try of it lands any more
	doubts  int             // how often in a row this driver did not learn an outcome
	swept   bool            // the hidden branches were deleted
}

// land performs the landing from its recorded state on. The record is committing from the
// moment a merge may have been requested.
func (l *serverLander) land(ctx context.Context, _ *branchqueue.Turn, record imports.Record) (ended bool, err error) {
	var from landing.State
	if record.Landing != nil {
		from = *record.Landing
	}
	l.dead = nil
	lost := "" // why a step of the last try failed
	for d := landing.Resume(from, l.landings); ; {
		a := d.Next()
		switch a.Kind {
		case landing.Stop:
			l.noteImport(ctx, record, a.State)
			return a.State.End != "", nil
		case landing.Wait:
			if err := l.wait(ctx, d, record.Request.Branch, a.Text); err != nil {
				return false, err
			}
			continue
		case landing.Authorize:
			l.dead = &a.From
		case landing.Prepare:
			l.dead = &a.From
			if lost != "" { // a busy server gets a pause, and the branch goes to the next import
				return false, errors.New(lost)
			}
		default: // performed below
		}
		var o landing.Outcome
		err := l.imp.traced(ctx, spanOf(a.Kind), func() (err error) {
			o, err = l.perform(ctx, record, a)
			return err
		})
		if err != nil && a.Kind == landing.Find && lakefs.IsRefused(err) {
			if err := l.wait(ctx, d, record.Request.Branch, err.Error()); err != nil {
				return false, err
			}
			continue
		}
		if err != nil {
			return false, err
		}
		if o.Result == landing.Lost {
			lost = o.Text
		}
		l.note(ctx, a, o)
		d.Perform(o)
	}
}

// wait lets the driver give the landing up, for the reason of the text, if its outcome has been
// unknown for too long, in this process and in those before it. Otherwise it returns an error,
// which is shown until the next try.
func (l *serverLander) wait(ctx context.Context, d *landing.Driver, branch, text string) error {
	l.doubts++
	now := l.imp.now().UTC()
	r, err := l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) { return r.Doubt(now) })
	if err != nil {
		return err
	}
	if l.doubts >= unknownTries && now.Sub(r.Doubted) > unknownWithin {
		d.GiveUp(text)
		return nil
	}
	return fmt.Errorf("it is not known whether the import is on branch %q: %s", branch, text)
}

// note counts and logs what a merge came to.
func (l *serverLander) note(ctx context.Context, a landing.Action, o landing.Outcome) {
	if a.Kind != landing.Merge {
		return
	}
	l.imp.metrics.attempts.WithLabelValues(attemptResult(a, o)).Inc()
	switch attemptResult(a, o) {
	case attemptMoved:
		l.imp.log.WarnContext(ctx, "a commit got between the head and the merge", "base", a.Base, "commit", o.Commit.Parent, "merge", o.Commit.ID)
	case attemptUnknown:
		l.imp.log.WarnContext(ctx, "the outcome of a merge is unknown", "branch", a.Branch, "err", o.Text)
	case attemptRefused:
		l.imp.log.InfoContext(ctx, "a merge was refused", "branch", a.Branch, "err", o.Text)
	}
}

// attemptResult says what a merge came to. A merge that landed after another commit did not
// replace the destination: a correction follows. A correction yields to other commits.
func attemptResult(a landing.Action, o landing.Outcome) string {
	switch {
	case o.Result == landing.Lost:
		return attemptUnknown
	case o.Result == landing.Refused:
		return attemptRefused
	case o.Commit.Parent != a.Base && !a.Correction:
		return attemptMoved
	}
	return attemptLanded
}

// noteImport sets the repository's metadata that lakeFS keeps of its last import. It is for
// people who look at it: nothing depends on it.
func (l *serverLander) noteImport(ctx context.Context, record imports.Record, s landing.State) {
	if s.End != landing.Completed {
		return
	}
	if s.Text != "" {
		l.imp.log.WarnContext(ctx, "the import landed after another commit, and was not corrected", "commit", s.Landed.ID, "between", s.Landed.Parent, "err", s.Text)
	}
	created := strconv.FormatInt(s.Landed.Created, 10)
	if err := l.server.SetMetadata(ctx, record.Request.Repository, map[string]string{lastImport: created}); err != nil {
		l.imp.log.WarnContext(ctx, "set the metadata of the repository", "key", lastImport, "err", err)
	}
}

// spanOf returns what a step of a landing is called in traces.
func spanOf(k landing.Kind) string {
	switch k {
	case landing.Prepare:
		return "prepare tree"
	case landing.Record:
		return "record landing"
	case landing.Store:
		return "lakefs store commit"
	case landing.Create:
		return "lakefs create branch"
	case landing.Write:
		return "lakefs commit"
	case landing.Authorize:
		return "lakefs authorize"
	case landing.Merge:
		return "lakefs merge"
	case landing.Delete, landing.Sweep:
		return "lakefs delete branch"
	case landing.Fence:
		return "lakefs fence merge"
	case landing.Find:
		return "lakefs find commit"
	default: // not performed
		return "landing"
	}
}

func (l *serverLander) perform(ctx context.Context, record imports.Record, a landing.Action) (landing.Outcome, error) {
	switch a.Kind {
	case landing.Prepare:
		return l.prepare(ctx, record, a)
	case landing.Record:
		return l.record(ctx, a)
	case landing.Authorize:
		return l.authorize(ctx, record)
	case landing.Sweep:
		l.sweep(ctx, record, a.Branches)
		return landing.Outcome{}, nil
	default:
		to := destinationOf(record)
		to.Created = l.attempt.Created.Unix()
		return l.server.Perform(ctx, to, a)
	}
}

// destinationOf returns where an import lands on its server, and as what.
func destinationOf(record imports.Record) lakefs.Destination {
	r := record.Request
	metadata := maps.Clone(r.Metadata)
	if metadata == nil {
		metadata = make(map[string]string)
	}
	metadata[importKey], metadata[userKey] = record.Job.ImportID, r.Committer
	return lakefs.Destination{Repository: r.Repository, Branch: r.Branch, Message: r.Message, Metadata: metadata}
}

// prepare stores the tree of the import on a commit, or on the head of the branch. The
// files are durable before the server is told about them.
func (l *serverLander) prepare(ctx context.Context, record imports.Record, a landing.Action) (o landing.Outcome, err error) {
	fold, followed := l.trees.progress.Fold()
	if !fold.Complete() {
		if err := l.trees.incomplete(ctx, followed); err != nil {
			return o, err
		}
		return o, errors.New("covers of the import are still being read")
	}
	base, err := l.base(ctx, record, a.Base)
	if refused(err) {
		return landing.Outcome{Result: landing.Refused, Text: err.Error()}, nil
	}
	if err != nil {
		return o, err
	}
	err = l.trees.steps.survive(ctx, func() error {
		id, changes, err := l.trees.write(ctx, record.Job, base.MetarangeID, fold)
		if err != nil {
			return err
		}
		l.attempt = imports.Attempt{
			MetarangeID: id, Parent: base.ID, Created: l.imp.now().UTC().Truncate(time.Second),
			Objects: fold.Objects, Ranges: fold.Ranges, Changes: changes,
		}
		o = landing.Outcome{Base: base.ID, Metarange: id, Unchanged: id == base.MetarangeID}
		_, err = l.imp.apply(ctx, imports.Record.Survive)
		return err
	})
	return o, err
}

// base returns a commit of the repository: the head of the branch if id is "". It is an
// error if the repository is another one than that of the import.
func (l *serverLander) base(ctx context.Context, record imports.Record, id string) (lakefs.Commit, error) {
	r, err := l.server.Repository(ctx, record.Request.Repository)
	if err != nil {
		return lakefs.Commit{}, err
	}
	another := record.Job.Incarnation != "" && record.Job.Incarnation != incarnation(r)
	if another || r.StorageNamespace != record.Job.Namespace {
		return lakefs.Commit{}, &lakefs.Error{Status: http.StatusNotFound, Message: "repository not found: this is another one with the same name"}
	}
	if id == "" {
		if id, err = l.server.Head(ctx, r.ID, record.Request.Branch); err != nil {
			return lakefs.Commit{}, err
		}
	}
	return l.server.Commit(ctx, r.ID, id)
}

// record stores the next state of the landing, unless the record has another one.
func (l *serverLander) record(ctx context.Context, a landing.Action) (landing.Outcome, error) {
	objects, _ := l.trees.progress.Covered()
	attempt := l.attempt
	attempt.Objects = objects
	_, err := l.imp.apply(ctx, func(r imports.Record) (imports.Record, error) {
		return r.Land(l.imp.now().UTC(), a.From, a.State, attempt)
	})
	if fault.Is(err, fault.Conflict) {
		return landing.Outcome{Result: landing.Refused, Text: err.Error()}, nil
	}
	if err == nil {
		l.doubts = 0
	}
	return landing.Outcome{}, err
}

// refused reports whether the server refuses a call of the service account. That its login is
// refused may pass, and is tried again as if the server were away.
func refused(err error) bool { return lakefs.IsRefused(err) && !lakefs.IsLoginRefused(err) }

// authorize checks that the import may still land, by what holds at the server now.
func (l *serverLander) authorize(ctx context.Context, record imports.Record) (landing.Outcome, error) {
	err := l.askAgain(ctx, record)
	switch {
	case lakefs.IsRefused(err):
		l.permission.refuse(record, err)
		return landing.Outcome{Result: landing.Refused, Text: err.Error()}, nil
	case err != nil:
		return landing.Outcome{}, err
	}
	err = l.permission.confirm(ctx, record, access.Caller{User: record.Request.Committer})
	if errors.As(err, new(revoked)) {
		return landing.Outcome{Result: landing.Refused, Text: err.Error()}, nil
	}
	if err != nil {
		return landing.Outcome{}, err
	}
	err = l.home.confirm(ctx, record)
	if _, ok := errors.AsType[*fault.Fault](err); ok && !fault.Is(err, fault.Later) {
		return landing.Outcome{Result: landing.Refused, Text: err.Error()}, nil
	}
	return landing.Outcome{}, err
}

// askAgain checks that whoever started the import may still do so. If this process does not
// know a login that holds, what was granted at the start holds as long as the user exists. An
// error that says nothing about the caller is none of a refusal.
func (l *serverLander) askAgain(ctx context.Context, record imports.Record) (err error) {
	caller := l.callers.of(l.imp.id)
	if caller != nil {
		err = mayImport(ctx, caller, record.Request, record.Job.Paths)
	}
	switch {
	case caller == nil || lakefs.Expired(caller, err):
		err = lakefs.UserExists(ctx, l.server, record.Request.Committer)
		if lakefs.IsLoginRefused(err) {
			return lakefs.AccountFault(err)
		}
	case lakefs.IsLoginRefused(err): // if the server knows nobody now, it refuses the service account, too
		if _, e := l.server.Repository(ctx, record.Request.Repository); e != nil {
			return lakefs.AccountFault(e)
		}
	}
	return err
}

// sweep deletes hidden branches. Those that are left are deleted when the record of the
// import is forgotten.
func (l *serverLander) sweep(ctx context.Context, record imports.Record, branches []string) {
	l.swept = true
	for _, b := range branches {
		o, err := l.server.Perform(ctx, destinationOf(record), landing.Action{Kind: landing.Delete, Branch: b})
		if err != nil || o.Result != landing.Done {
			l.imp.log.WarnContext(ctx, "delete a hidden branch", "branch", b, "err", fmt.Sprint(o.Text, err))
		}
	}
}

// metarange returns the ID of the tree at the head of the branch.
func (l *serverLander) metarange(ctx context.Context, record imports.Record) (id string, err error) {
	c, err := l.base(ctx, record, "")
	if refused(err) {
		err = fault.Missing(err.Error())
	}
	return c.MetarangeID, err
}

// abandon gives the import up. One that is committing is given up only if no try of its
// record lands any more; one that is on the branch is completed, but not corrected.
func (l *serverLander) abandon(r imports.Record, cause string, objects int64) (imports.Record, error) {
	if l.dead == nil {
		return r.Fail(l.imp.now().UTC(), nil, cause, objects)
	}
	return r.Land(l.imp.now().UTC(), *l.dead, l.dead.Abandoned(cause), imports.Attempt{Objects: objects})
}

// clear deletes the hidden branches of an import that was canceled or given up.
func (l *serverLander) clear(ctx context.Context, record imports.Record) {
	if record.Landing != nil && !l.swept {
		l.sweep(ctx, record, record.Landing.Branches)
	}
}

// commitOnServer returns the last commit of a completed import, as its record has it.
func commitOnServer(record imports.Record) catalog.Commit {
	landed, last := record.Landing.Landed, record.Landing.Corrected
	merge := landing.Action{Kind: landing.Merge, Correction: last != nil, Base: landed.ID}
	if last == nil {
		last = landed
	}
	merge.Branch = last.Mark
	return catalog.Commit{
		ID: last.ID, Committer: last.Committer, Message: record.Request.Message, MetarangeID: last.Metarange,
		Created: time.Unix(last.Created, 0).UTC(), Metadata: lakefs.MergeMetadata(destinationOf(record), merge), Parents: []string{last.Parent},
		Generation: last.Generation,
	}
}
