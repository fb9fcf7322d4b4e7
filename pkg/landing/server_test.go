package landing

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// destination is the branch that imports land on.
const destination = "main"

// tree is what a commit holds, by key.
type tree map[string]string

// commit is a commit of the server model.
type commit struct {
	id       string
	parents  []string // the first is the head before it
	tree     tree
	changes  tree   // of a user's commit: what it sets, "" to delete; else nil
	mark     string // of a merge of the import; else ""
	corrects bool
}

// branch is the record of a branch.
type branch struct {
	head    string
	version int // changes with the record
	dirty   bool
}

// server is a lakeFS server as far as a landing sees it: a naive model, in which each step
// of a merge is one atomic access to a record.
type server struct {
	commits  map[string]*commit
	branches map[string]*branch

	protected bool // no commits to hidden branches

	// resolvesOnce makes merges resolve their source only once. The real server resolves it
	// again when it retries; without that there is no fence.
	resolvesOnce bool
}

func newServer() *server {
	s := &server{commits: map[string]*commit{}, branches: map[string]*branch{}}
	root := s.add(commit{tree: tree{"in/old": "0", "out/old": "0"}})
	s.branches[destination] = &branch{head: root}
	return s
}

func (s *server) add(c commit) (id string) {
	c.id = "c" + strconv.Itoa(len(s.commits))
	s.commits[c.id] = &c
	return c.id
}

// move makes a commit the head of a branch.
func (b *branch) move(head string) { b.head, b.version = head, b.version+1 }

// userCommits commits changes of a user to the destination.
func (s *server) userCommits(changes tree) {
	b := s.branches[destination]
	next := apply(s.commits[b.head].tree, changes)
	b.move(s.add(commit{parents: []string{b.head}, tree: next, changes: changes}))
	b.dirty = false
}

// perform performs an action that is one request: Store, Create, Write or Delete.
func (s *server) perform(a Action) Outcome {
	b := s.branches[a.Branch]
	switch {
	case a.Kind == Store:
		return Outcome{Commit: Commit{ID: s.add(commit{parents: []string{a.Base}, tree: s.commits[a.Metarange].tree})}}
	case a.Kind == Delete:
		delete(s.branches, a.Branch)
	case a.Kind == Create && b != nil:
		return Outcome{Result: Refused, Text: "branch exists"}
	case a.Kind == Create:
		s.branches[a.Branch] = &branch{head: a.Base}
	case b == nil:
		return Outcome{Result: Refused, Text: "branch not found"}
	case s.protected:
		return Outcome{Result: Refused, Reason: Protected, Text: "protected branch"}
	default:
		b.move(s.add(commit{parents: []string{b.head}, tree: s.commits[a.Metarange].tree}))
	}
	return Outcome{}
}

func apply(t, changes tree) tree {
	next := maps.Clone(t)
	for k, v := range changes {
		if next[k] = v; v == "" {
			delete(next, k)
		}
	}
	return next
}

// replace returns t with what is under in/ replaced by the import.
func replace(t, imported tree) tree {
	next := maps.Clone(t)
	maps.DeleteFunc(next, func(k, _ string) bool { return strings.HasPrefix(k, "in/") })
	maps.Copy(next, imported)
	return next
}

// history returns the commits from head to the first one, by first parents.
func (s *server) history(head string) (ids []string) {
	for id := head; ; id = s.commits[id].parents[0] {
		ids = append(ids, id)
		if len(s.commits[id].parents) == 0 {
			return ids
		}
	}
}

// mergeBase returns the latest commit that is in the histories of both.
func (s *server) mergeBase(a, b string) string {
	of := s.history(a)
	for _, id := range s.history(b) {
		if slices.Contains(of, id) {
			return id
		}
	}
	panic("no common commit")
}

// threeWay merges the changes from base to source into dest. Where both changed a key, one
// side wins.
func threeWay(base, source, dest tree, destWins bool) tree {
	merged := maps.Clone(dest)
	for k := range union(base, source) {
		if source[k] == base[k] || destWins && dest[k] != base[k] {
			continue
		}
		if merged[k] = source[k]; source[k] == "" {
			delete(merged, k)
		}
	}
	return merged
}

func union(a, b tree) tree {
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}

// mergeTries is how often the server tries a merge whose compare-and-swap fails.
const mergeTries = 10

// merge is one request to merge a branch into the destination, which the server performs
// step by step.
type merge struct {
	source     string // name of a branch
	correction bool   // the destination wins
	allowEmpty bool
	mark       string

	begun   bool
	stored  *commit // to become the head
	version int     // of the destination when it was read
	from    string  // the source when it was resolved
	tries   int
	answer  *Outcome // once it has ended
}

func (m *merge) refuse(reason Reason, text string) {
	m.answer = &Outcome{Result: Refused, Reason: reason, Text: text}
}

// step performs the next atomic step.
func (m *merge) step(s *server) {
	b := s.branches[destination]
	switch {
	case b == nil:
		m.refuse(NoTarget, "branch not found")
	case !m.begun && b.dirty:
		m.refuse(Other, "dirty branch")
	case !m.begun:
		b.version++ // a new staging token
		m.begun = true
	case m.stored == nil:
		m.compute(s, b)
	case b.version == m.version:
		m.answer = &Outcome{Commit: Commit{ID: m.stored.id, Parent: b.head}}
		b.move(m.stored.id)
	default:
		m.stored = nil
		if m.tries++; m.tries == mergeTries {
			m.answer = &Outcome{Result: Lost, Text: "too many tries"}
		}
	}
}

// compute stores the merge commit, without moving the destination to it.
func (m *merge) compute(s *server, b *branch) {
	if m.from == "" || !s.resolvesOnce {
		source := s.branches[m.source]
		if source == nil {
			m.refuse(NoSource, "get commit by ref: not found")
			return
		}
		m.from = source.head
	}
	base := s.commits[s.mergeBase(m.from, b.head)].tree
	merged := threeWay(base, s.commits[m.from].tree, s.commits[b.head].tree, m.correction)
	if maps.Equal(merged, s.commits[b.head].tree) && !m.allowEmpty {
		m.refuse(NoChange, "no changes")
		return
	}
	m.version = b.version
	m.stored = s.commits[s.add(commit{parents: []string{b.head}, tree: merged, mark: m.mark, corrects: m.correction})]
}
