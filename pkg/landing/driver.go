package landing

// Kind is what an action does.
type Kind int

// The kinds of actions. Each says what its outcome means; an outcome that is not mentioned
// is not given.
const (
	// Stop ends the driver. The action's State is the last that it knows. If State.End is
	// "", another driver goes on, or this process resumes from the stored state.
	Stop Kind = iota

	// Prepare computes the tree on the commit Base, or on the head of the destination if
	// Base is "", and stores its files. Done returns Base, Metarange and Unchanged. Refused
	// means that the import cannot be landed, for the reason of the text. No try of the
	// stored state From lands any more: State.Abandoned ends it.
	Prepare

	// Record replaces the state From by State, by compare-and-swap. Refused means that the
	// stored state is another one. Lost means that this is not known.
	Record

	// Store stores a commit of the tree Metarange on Base, which is on no branch. Done returns
	// its ID. It may be repeated.
	Store

	// Create creates the hidden branch Branch at the commit Base. Its request is sent once.
	Create

	// Write commits the tree Metarange to Branch, on Base. Its request is sent once. Refused
	// with Protected means that no commit to Branch is allowed.
	Write

	// Authorize checks that the import still may land. No try of the stored state From lands any
	// more, unless its merge is requested after this.
	Authorize

	// Merge merges Branch, which was made on Base, into the destination, as a squash, with Branch as its mark in the
	// metadata: for an import so that its changes win, for a correction so that those of
	// the destination win. It may make an empty commit only if Unchanged is set. Its
	// request is sent once. Done returns the commit.
	Merge

	// Delete deletes Branch. Done means that it is gone, or was not there.
	Delete

	// Fence merges the deleted name Branch. It must not make an empty commit. Refused with
	// NoSource, as it should be, means that no merge of the name lands from now on.
	Fence

	// Find looks for the commit with the mark Branch among the commits that are on the
	// destination and not in the history of Base. Done returns the commit. Refused with
	// NotThere means that there is none; with BaseGone, that Base is not in the history of
	// the destination, so that commits may have been removed from it; with NoTarget, that
	// there is no destination.
	Find

	// Wait waits before the driver tries again to learn an outcome that is unknown, for the
	// reason of the text. The caller decides how long, and by GiveUp when it is enough.
	// Others may land on the destination meanwhile.
	Wait

	// Sweep deletes Branches. An error is to be logged, and does not matter: the record
	// keeps their names, and they are deleted again before it is forgotten.
	Sweep
)

// Action is what the caller of a driver is to do. Fields that its Kind does not mention are
// zero.
type Action struct {
	Kind       Kind
	Branch     string
	Base       string
	Metarange  string
	Correction bool
	Unchanged  bool
	From       State
	State      State
	Branches   []string
	Text       string
}

// Result says whether an action was performed.
type Result int

// The results of an action.
const (
	Done    Result = iota
	Refused        // it was not performed, and never will be
	Lost           // it may have been performed, may still be, or neither
)

// Reason is why the server refused.
type Reason int

// The reasons that a driver distinguishes.
const (
	Other     Reason = iota // the request itself: Outcome.Text has the server's words
	NoSource                // the hidden branch does not exist
	NoTarget                // the destination does not exist
	NoChange                // the merge would change nothing
	NotThere                // no commit has the mark
	BaseGone                // the base is not in the history of the destination
	Protected               // a pattern protects the hidden branch
)

// Outcome is what became of an action.
type Outcome struct {
	Result Result
	Reason Reason // if it was refused
	Text   string // in the server's words, if it was refused or lost

	Base, Metarange string // of Prepare
	Unchanged       bool   // of Prepare: the tree is that of Base
	Commit          Commit // of Merge and Find; of Store, its ID
}

// Config is how landings are performed.
type Config struct {
	// NewName returns a name for a hidden branch that nobody has used or can guess.
	NewName func() string

	// StoreCommits lets a landing whose hidden branch is protected store its commit. Else it fails.
	StoreCommits bool
}

// Driver performs one landing. It is for one goroutine. Any number of drivers, in any
// processes, may perform the same landing: at most one of them gets on.
type Driver struct {
	config    Config
	state     State // as it is stored
	next      Action
	protected bool    // commits to hidden branches were refused
	merge     Outcome // of the try in Merging: Lost if it is not known
	fenced    bool    // no merge of the try lands from now on
}

// Resume returns a driver that goes on from a stored state.
func Resume(s State, c Config) *Driver {
	d := &Driver{config: c, state: s}
	d.resume()
	return d
}

// Next returns the action to perform.
func (d *Driver) Next() Action { return d.next }

// resume chooses the next action by what is stored alone.
func (d *Driver) resume() {
	t := d.state.Try
	switch {
	case d.state.End != "":
		d.next = Action{Kind: Sweep, Branches: d.state.Branches}
	case t != nil && t.Phase == Merging:
		d.merge = Outcome{Result: Lost}
		d.remove()
	default:
		d.begin()
	}
}

// begin begins a new try. The last one stays in the state until the new one is recorded. So
// nobody cancels an import of which it is not recorded that it did not land.
func (d *Driver) begin() {
	switch {
	case d.state.Tries >= maxTries:
		d.record(d.state.ended(Failed, "too many tries"))
	case d.state.Landed != nil:
		d.next = Action{Kind: Prepare, From: d.state, Base: d.state.Landed.ID, Correction: true}
	default:
		d.next = Action{Kind: Prepare, From: d.state}
	}
}

func (d *Driver) record(s State) { d.next = Action{Kind: Record, From: d.state, State: s} }

// remove begins to fence the merge of the try.
func (d *Driver) remove() { d.next = Action{Kind: Delete, Branch: d.state.Try.Branch} }

func (d *Driver) find() {
	d.next = Action{Kind: Find, Branch: d.state.Try.Branch, Base: d.state.Try.Base}
}

// Perform tells the driver the outcome of the action that Next returned.
func (d *Driver) Perform(o Outcome) {
	switch d.next.Kind {
	case Stop:
	case Prepare:
		d.prepared(o)
	case Record:
		d.recorded(o)
	case Store:
		d.stored(o)
	case Create:
		d.created(o)
	case Write:
		d.written(o)
	case Authorize:
		d.authorized(o)
	case Merge:
		d.merged(o)
	case Delete:
		d.deleted(o)
	case Fence:
		d.fence(o)
	case Find:
		d.found(o)
	case Wait:
		d.remove()
	case Sweep:
		d.next = Action{Kind: Stop, State: d.state}
	}
}

// GiveUp ends a landing whose outcome cannot be learned, for the reason of the text. It is
// for a driver whose next action is Wait or Find.
func (d *Driver) GiveUp(text string) { d.record(d.state.ended(Unknown, text)) }

func (d *Driver) prepared(o Outcome) {
	correction := d.next.Correction
	switch {
	case o.Result != Done:
		d.record(d.state.ended(Failed, o.Text))
	case correction && o.Unchanged:
		d.record(d.state.ended(Completed, ""))
	default:
		d.record(d.state.begun(Try{
			Branch: d.config.NewName(), Base: o.Base, Metarange: o.Metarange, Unchanged: o.Unchanged, Correction: correction, Stored: d.protected,
		}))
	}
}

func (d *Driver) recorded(o Outcome) {
	if o.Result != Done {
		d.next = Action{Kind: Stop, State: d.state}
		return
	}
	d.state, d.merge, d.fenced = d.next.State, Outcome{}, false
	t := d.state.Try
	switch {
	case t == nil:
		d.resume()
	case t.Phase == Preparing && t.Stored:
		d.next = Action{Kind: Store, Branch: t.Branch, Base: t.Base, Metarange: t.Metarange, Correction: t.Correction}
	case t.Phase == Preparing:
		d.next = Action{Kind: Create, Branch: t.Branch, Base: t.Base}
	default:
		d.next = Action{Kind: Merge, Branch: t.Branch, Base: t.Base, Correction: t.Correction, Unchanged: t.Unchanged}
	}
}

func (d *Driver) stored(o Outcome) {
	if d.goesOn(o) {
		d.next = Action{Kind: Create, Branch: d.state.Try.Branch, Base: o.Commit.ID}
	}
}

func (d *Driver) created(o Outcome) {
	if !d.goesOn(o) {
		return
	}
	t := d.state.Try
	if t.Stored {
		d.ready()
		return
	}
	d.next = Action{Kind: Write, Branch: t.Branch, Base: t.Base, Metarange: t.Metarange, Correction: t.Correction}
}

func (d *Driver) written(o Outcome) {
	if o.Reason == Protected && d.config.StoreCommits && d.state.Tries < maxTries {
		d.protected = true
		t := *d.state.Try
		t.Branch, t.Stored = d.config.NewName(), true
		d.record(d.state.begun(t))
		return
	}
	if d.goesOn(o) {
		d.ready()
	}
}

// ready goes on with a try whose tree is on its hidden branch.
func (d *Driver) ready() {
	if d.state.Try.Correction { // the import is on the destination already
		d.record(d.state.merging())
		return
	}
	d.next = Action{Kind: Authorize, From: d.state}
}

func (d *Driver) authorized(o Outcome) {
	if d.goesOn(o) {
		d.record(d.state.merging())
	}
}

// goesOn reports whether a step of a try that is Preparing was performed. Otherwise it ends
// the landing if the step was refused, and abandons the name if its outcome is unknown.
func (d *Driver) goesOn(o Outcome) bool {
	switch o.Result {
	case Refused:
		d.record(d.state.ended(Failed, o.Text))
	case Lost:
		d.resume()
	case Done:
	}
	return o.Result == Done
}

func (d *Driver) merged(o Outcome) {
	d.merge = o
	switch o.Result {
	case Done:
		d.record(d.state.landed(o.Commit))
	case Refused: // whatever is between may have sent the request twice: the first may have landed
		d.find()
	case Lost:
		d.remove()
	}
}

func (d *Driver) deleted(o Outcome) {
	if o.Result == Done {
		d.next = Action{Kind: Fence, Branch: d.state.Try.Branch}
		return
	}
	d.merge.Text = o.Text
	d.find()
}

func (d *Driver) fence(o Outcome) {
	d.fenced = o.Result == Refused && (o.Reason == NoSource || o.Reason == NoTarget)
	if !d.fenced {
		d.merge.Text = o.Text
	}
	d.find()
}

func (d *Driver) found(o Outcome) {
	unknown := d.merge.Result == Lost && !d.fenced
	switch {
	case o.Result == Done:
		d.record(d.state.landed(o.Commit))
	case o.Reason == NoTarget && !unknown:
		d.record(d.state.ended(Failed, o.Text))
	case o.Reason == BaseGone && d.merge.Result == Lost:
		d.record(d.state.ended(Unknown, o.Text))
	case unknown:
		d.next = Action{Kind: Wait, Text: d.merge.Text}
	case d.merge.Result == Lost:
		d.begin()
	case d.merge.Reason == NoChange && d.state.Try.Correction:
		d.record(d.state.ended(Completed, ""))
	case d.merge.Reason == NoChange || d.merge.Reason == NoSource:
		d.begin()
	default:
		d.record(d.state.ended(Failed, d.merge.Text))
	}
}
