package landing

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

var names = map[Kind]string{
	Stop: "stop", Prepare: "prepare", Record: "record", Store: "store", Create: "create", Write: "write", Authorize: "authorize",
	Merge: "merge", Delete: "delete", Fence: "fence", Find: "find", Wait: "wait", Sweep: "sweep",
}

// config lets landings store their commits.
var config = Config{NewName: func() string { return "rf-new" }, StoreCommits: true}

// drive performs a landing from a state. outcomes are those of some actions, in order, by
// their names. All others are done. It returns the actions and the last state.
func drive(t *testing.T, s State, outcomes map[string][]Outcome) (actions string, last State) {
	t.Helper()
	d := Resume(s, config)
	var took []string
	for len(took) < 100 {
		a := d.Next()
		name := names[a.Kind]
		took = append(took, name)
		if a.Kind == Stop {
			return strings.Join(took, " "), a.State
		}
		var o Outcome
		if given := outcomes[name]; len(given) > 0 {
			o, outcomes[name] = given[0], given[1:]
		}
		d.Perform(o)
	}
	t.Fatalf("no end after %v", took)
	return "", State{}
}

func prepared(base string, unchanged bool) Outcome {
	return Outcome{Base: base, Metarange: "tree of " + base, Unchanged: unchanged}
}

func made(id, parent string) Outcome { return Outcome{Commit: Commit{ID: id, Parent: parent}} }

func refused(reason Reason) Outcome { return Outcome{Result: Refused, Reason: reason, Text: "words"} }

var lost = Outcome{Result: Lost, Text: "lost"}

const begin = "prepare record create write authorize record merge "

func TestActions(t *testing.T) {
	fenced := map[string][]Outcome{"prepare": {prepared("h", false)}, "merge": {lost}, "fence": {refused(NoSource)}}
	for name, c := range map[string]struct {
		outcomes map[string][]Outcome
		actions  string
		end      End
		text     string
	}{
		"it lands": {
			map[string][]Outcome{"prepare": {prepared("h", false)}, "merge": {made("m", "h")}},
			begin + "record sweep stop", Completed, "",
		},
		"a commit was between, and is corrected": {
			map[string][]Outcome{"prepare": {prepared("h", false), prepared("m", false)}, "merge": {made("m", "other"), made("c", "m")}},
			begin + "record prepare record create write record merge record sweep stop", Completed, "",
		},
		"a commit was between, and nothing is to be corrected": {
			map[string][]Outcome{"prepare": {prepared("h", false), prepared("m", true)}, "merge": {made("m", "other")}},
			begin + "record prepare record sweep stop", Completed, "",
		},
		"a correction is refused": {
			map[string][]Outcome{"prepare": {prepared("h", false), prepared("m", false)}, "merge": {made("m", "other"), refused(Other)}, "find": {refused(NotThere)}},
			begin + "record prepare record create write record merge find record sweep stop", Completed, "words",
		},
		"the answer is lost, and it landed": {
			with(fenced, "find", made("m", "h")),
			begin + "delete fence find record sweep stop", Completed, "",
		},
		"the answer is lost, and it did not land": {
			with(with(with(fenced, "find", refused(NotThere)), "merge", lost, made("m", "h")), "prepare", prepared("h", false), prepared("h", false)),
			begin + "delete fence find " + begin + "record sweep stop", Completed, "",
		},
		"the answer is lost, and users reset the branch": {
			with(fenced, "find", refused(BaseGone)),
			begin + "delete fence find record sweep stop", Unknown, "words",
		},
		"the answer is lost, and the branch is dirty for a while": {
			with(with(fenced, "fence", refused(Other), refused(NoSource)), "find", refused(NotThere), made("m", "h")),
			begin + "delete fence find wait delete fence find record sweep stop", Completed, "",
		},
		"the creation of the branch is lost": {
			map[string][]Outcome{"prepare": {prepared("h", false), prepared("h", false)}, "create": {lost}, "merge": {made("m", "h")}},
			"prepare record create " + begin + "record sweep stop", Completed, "",
		},
		"the merge is refused": {
			map[string][]Outcome{"prepare": {prepared("h", false)}, "merge": {refused(Other)}, "find": {refused(NotThere)}},
			begin + "find record sweep stop", Failed, "words",
		},
		"the merge is refused, as it was sent twice": {
			map[string][]Outcome{"prepare": {prepared("h", false)}, "merge": {refused(NoChange)}, "find": {made("m", "h")}},
			begin + "find record sweep stop", Completed, "",
		},
		"the merge would change nothing, as another one made the same change": {
			map[string][]Outcome{"prepare": {prepared("h", false), prepared("m", true)}, "merge": {refused(NoChange), made("n", "m")}, "find": {refused(NotThere)}},
			begin + "find " + begin + "record sweep stop", Completed, "",
		},
		"somebody deletes the hidden branch": {
			map[string][]Outcome{"prepare": {prepared("h", false), prepared("h", false)}, "merge": {refused(NoSource), made("m", "h")}, "find": {refused(NotThere)}},
			begin + "find " + begin + "record sweep stop", Completed, "",
		},
		"a correction would change nothing": {
			map[string][]Outcome{"prepare": {prepared("h", false), prepared("m", false)}, "merge": {made("m", "other"), refused(NoChange)}, "find": {refused(NotThere)}},
			begin + "record prepare record create write record merge find record sweep stop", Completed, "",
		},
		"the caller lost the permission": {
			map[string][]Outcome{"prepare": {prepared("h", false)}, "authorize": {refused(Other)}},
			"prepare record create write authorize record sweep stop", Failed, "words",
		},
		"the hidden branch is protected": {
			map[string][]Outcome{"prepare": {prepared("h", false)}, "write": {refused(Protected)}, "merge": {made("m", "h")}},
			"prepare record create write record store create authorize record merge record sweep stop", Completed, "",
		},
		"the hidden branch is protected, and a commit was between": {
			map[string][]Outcome{"prepare": {prepared("h", false), prepared("m", false)}, "write": {refused(Protected)}, "merge": {made("m", "other"), made("c", "m")}},
			"prepare record create write record store create authorize record merge record prepare record store create record merge record sweep stop", Completed, "",
		},
		"a commit is not stored": {
			map[string][]Outcome{"prepare": {prepared("h", false)}, "write": {refused(Protected)}, "store": {refused(Other)}},
			"prepare record create write record store record sweep stop", Failed, "words",
		},
		"another driver was faster": {
			map[string][]Outcome{"prepare": {prepared("h", false)}, "record": {{}, refused(Other)}},
			"prepare record create write authorize record stop", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			actions, last := drive(t, State{}, c.outcomes)
			if actions != c.actions || last.End != c.end || last.Text != c.text {
				t.Errorf("%s\nended %q %q, want\n%s\nended %q %q", actions, last.End, last.Text, c.actions, c.end, c.text)
			}
		})
	}
}

// A landing stores no commit that the configuration does not let it store.
func TestAProtectedBranchIsRefused(t *testing.T) {
	d := Resume(State{}, Config{NewName: config.NewName})
	for _, o := range []Outcome{prepared("h", false), {}, {}, refused(Protected)} { // the record, the branch, the commit
		d.Perform(o)
	}
	if a := d.Next(); a.Kind != Record || a.State.End != Failed || a.State.Text != "words" {
		t.Errorf("%+v, want the landing to fail", a)
	}
}

// A commit that is stored gets a branch with a name of its own: the first one exists.
func TestAStoredCommitGetsItsOwnBranch(t *testing.T) {
	names := []string{"rf-1", "rf-2"}
	newName := func() (name string) { name, names = names[0], names[1:]; return name }
	d := Resume(State{}, Config{NewName: newName, StoreCommits: true})
	for _, o := range []Outcome{prepared("h", false), {}, {}, refused(Protected), {}, made("stored", "h")} { // up to Store
		d.Perform(o)
	}
	if a := d.Next(); a.Kind != Create || a.Branch != "rf-2" || a.Base != "stored" {
		t.Errorf("%+v, want the branch rf-2 at the commit", a)
	}
}

func TestBetween(t *testing.T) {
	merging := State{}.begun(Try{Branch: "rf-a", Base: "h"}).merging()
	for want, s := range map[string]State{"": merging.landed(Commit{ID: "m", Parent: "h"}), "other": merging.landed(Commit{ID: "m", Parent: "other"})} {
		if got := s.Between(); got != want || s.Landed.Mark != "rf-a" {
			t.Errorf("%q, want %q: %+v", got, want, s.Landed)
		}
	}
	if got := merging.Between(); got != "" {
		t.Errorf("%q before it landed", got)
	}
}

func with(outcomes map[string][]Outcome, name string, o ...Outcome) map[string][]Outcome {
	all := map[string][]Outcome{name: o}
	for n, given := range outcomes {
		if n != name {
			all[n] = slices.Clone(given)
		}
	}
	return all
}

// A driver that takes over merges no branch that another one created.
func TestADriverUsesNoNameOfAnother(t *testing.T) {
	s := State{}.begun(Try{Branch: "rf-old", Base: "h", Metarange: "t"})
	actions, last := drive(t, s, map[string][]Outcome{"prepare": {prepared("h", false)}, "merge": {made("m", "h")}})
	if actions != begin+"record sweep stop" || !slices.Equal(last.Branches, []string{"rf-old", "rf-new"}) {
		t.Errorf("%s with the branches %q, want a new try with a new branch", actions, last.Branches)
	}
	stored := State{}.begun(Try{Branch: "rf-old", Base: "h", Metarange: "t", Stored: true})
	actions, _ = drive(t, stored, map[string][]Outcome{"prepare": {prepared("h", false)}, "merge": {made("m", "h")}})
	if actions != begin+"record sweep stop" {
		t.Errorf("%s, want a new try that commits to its branch", actions)
	}
	actions, _ = drive(t, s.merging(), map[string][]Outcome{"fence": {refused(NoSource)}, "find": {made("m", "h")}})
	if want := "delete fence find record sweep stop"; actions != want {
		t.Errorf("%s, want %s", actions, want)
	}
}

func TestTriesAreBounded(t *testing.T) {
	outcomes := map[string][]Outcome{}
	for range maxTries {
		outcomes["create"] = append(outcomes["create"], lost)
	}
	s := State{}
	for range maxTries {
		d := Resume(s, config)
		d.Perform(prepared("h", false))
		s = d.Next().State
	}
	if actions, last := drive(t, s, outcomes); actions != "record sweep stop" || last.End != Failed || last.Tries != maxTries {
		t.Errorf("%s, %+v, want the landing to fail", actions, last)
	}
}

func TestStatesAreStoredAsTheyAre(t *testing.T) {
	s := State{}.begun(Try{Branch: "rf-a", Base: "h", Metarange: "t", Unchanged: true}).merging()
	for _, s := range []State{{}, s, s.landed(Commit{ID: "m", Parent: "other"}), s.ended(Unknown, "words")} {
		var got State
		data, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(data, &got)
		}
		if err != nil || !got.Equal(s) {
			t.Errorf("%+v, %v, want %+v", got, err, s)
		}
	}
}
