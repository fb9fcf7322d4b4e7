// Package landing decides how an import is committed to a branch of a lakeFS server: a state
// machine without I/O. A Driver names the next action; its caller performs the action at the
// server and tells the driver the outcome.
//
// # How a tree lands
//
// The server commits a tree only by a merge. A try creates a hidden branch at the head of the
// destination, commits the tree to it, and merges it. A merge whose answer is lost may still
// be in progress, so it is never requested again: a second merge would revert what users
// changed in between. Instead the driver fences it:
//
//   - It deletes the hidden branch, and then merges the deleted name. The server changes the
//     record of the destination before it finds that the source is missing. A merge in
//     progress therefore loses its compare-and-swap, looks for its source again, and fails.
//   - After that it looks in the history of the destination for a commit with the try's mark.
//     Only if there is none is the tree merged again, by a new try with a new name.
//
// The fence holds because a name is created once, by the driver that recorded it, and merged
// once. So a driver that takes over never goes on with the try of another one, and a name
// whose creation was not confirmed is abandoned.
//
// # Protected branches
//
// A pattern that protects the hidden branch forbids commits to it, but neither to create it
// nor to merge it. If the configuration allows that, the next try stores the commit by itself,
// on no branch, and creates its hidden branch there. Such a commit is never merged by its ID:
// nothing fences a merge whose source has no name to delete.
//
// # Corrections
//
// A commit between the head that the tree was computed on and the merge makes the merge a
// three-way merge, which is no replacement of the destination. The driver then corrects the
// merge commit with a tree that is computed on it. A correction yields to all that users
// changed since.
package landing

import "slices"

// Phase is how far a try is.
type Phase string

// The phases of a try.
const (
	Preparing Phase = "preparing" // its merge was not requested, and is only if it becomes Merging
	Merging   Phase = "merging"   // its merge may have been requested
)

// Try is one try to merge a tree.
type Try struct {
	Number     int    `json:"number"`               // from 1, of all tries of the import
	Branch     string `json:"branch"`               // hidden; also the mark in the metadata of the merge commit: unique and unguessable
	Base       string `json:"base"`                 // ID of the commit that the tree was computed on
	Metarange  string `json:"metarange"`            // ID of the tree
	Unchanged  bool   `json:"unchanged,omitempty"`  // the tree is that of Base
	Correction bool   `json:"correction,omitempty"` // it corrects Base, which landed the import
	Stored     bool   `json:"stored,omitempty"`     // its commit is stored first, and its branch created there
	Phase      Phase  `json:"phase"`
}

// Commit is a merge commit on the destination. A driver looks only at ID and Parent, and sets
// Mark and Base.
type Commit struct {
	ID         string `json:"id"`
	Parent     string `json:"parent"` // the head of the destination before it
	Metarange  string `json:"metarange,omitempty"`
	Committer  string `json:"committer,omitempty"`
	Created    int64  `json:"created,omitempty"` // seconds since 1970
	Generation int    `json:"generation,omitempty"`
	Mark       string `json:"mark,omitempty"` // in its metadata: Branch of its try
	Base       string `json:"base,omitempty"` // of its try
}

// End is how a landing ended.
type End string

// The ends of a landing.
const (
	Completed End = "completed" // State.Landed is on the destination, or was until users moved the branch
	Failed    End = "failed"    // nothing of the import is on the destination, and never will be
	Canceled  End = "canceled"  // likewise
	Unknown   End = "unknown"   // it cannot be told whether the import is on the destination
)

// State is what is stored of a landing. It changes only by the action Record, which is a
// compare-and-swap. The zero State is a landing that has not begun. No state occurs twice
// in a landing, so that states can be compared by value.
type State struct {
	Try       *Try     `json:"try,omitempty"`       // the last try; nil once it is known that it cannot land any more
	Tries     int      `json:"tries,omitempty"`     // number of the last try
	Branches  []string `json:"branches,omitempty"`  // hidden branches of all tries: at most maxTries
	Landed    *Commit  `json:"landed,omitempty"`    // the commit that landed the import
	Corrected *Commit  `json:"corrected,omitempty"` // the commit that corrected Landed
	End       End      `json:"end,omitempty"`       // "" until it has ended
	Text      string   `json:"text,omitempty"`      // why it ended so, or why Landed was not corrected; may be empty
}

// maxTries bounds the tries of one landing.
const maxTries = 40

// Equal reports whether two states are the same.
func (s State) Equal(o State) bool {
	return equal(s.Try, o.Try) && s.Tries == o.Tries && slices.Equal(s.Branches, o.Branches) &&
		equal(s.Landed, o.Landed) && equal(s.Corrected, o.Corrected) && s.End == o.End && s.Text == o.Text
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// begun returns the state with a new try in place of the last one.
func (s State) begun(t Try) State {
	s.Tries++
	t.Number, t.Phase = s.Tries, Preparing
	s.Try, s.Branches = &t, append(slices.Clip(s.Branches), t.Branch)
	return s
}

// merging returns the state in which the merge of the try may be requested.
func (s State) merging() State {
	t := *s.Try
	t.Phase = Merging
	s.Try = &t
	return s
}

// landed returns the state after the merge of the try was found to have made a commit.
func (s State) landed(c Commit) State {
	t := *s.Try
	s.Try = nil
	c.Mark, c.Base = t.Branch, t.Base
	switch {
	case t.Correction:
		s.Corrected, s.End = &c, Completed
	case c.Parent == t.Base:
		s.Landed, s.End = &c, Completed
	default:
		s.Landed = &c // and is corrected next
	}
	return s
}

// Between returns the ID of the commit that got between the head that the import was computed
// on and its merge: the last one, if there were several. It is "" if there was none.
func (s State) Between() string {
	if s.Landed == nil || s.Landed.Base == "" || s.Landed.Parent == s.Landed.Base { // earlier versions stored no base
		return ""
	}
	return s.Landed.Parent
}

// ended returns the state at the end of the landing. If the import is on the destination,
// the end is Completed, and the text is why it was not corrected.
func (s State) ended(end End, text string) State {
	if s.Landed != nil {
		end = Completed
	}
	s.Try, s.End, s.Text = nil, end, text
	return s
}

// Abandoned returns the state after the landing was given up, for the reason of the text. It
// is for a state of which no try lands any more.
func (s State) Abandoned(text string) State { return s.ended(Failed, text) }
