package landing

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// check returns what must never happen, and did.
func check(m *model) error {
	m.seen["end "+string(m.store.End)]++
	if m.store.End == Unknown && !m.moved && !m.gaveUp {
		return fmt.Errorf("unknown, although no user moved the branch and nobody gave up: %+v", m.store)
	}
	for name := range m.server.branches {
		if name != destination {
			return fmt.Errorf("the hidden branch %s is left", name)
		}
	}
	if b := m.server.branches[destination]; b != nil {
		return checkHistory(m, b.head)
	}
	return nil
}

// checkHistory replays the history of the destination by what each commit is meant to do.
func checkHistory(m *model, head string) error {
	ids := m.server.history(head)
	slices.Reverse(ids)
	want, landed, corrected := m.server.commits["c0"].tree, 0, 0
	var merged tree
	for _, id := range ids[1:] {
		switch c := m.server.commits[id]; {
		case c.changes != nil:
			want = apply(want, c.changes)
		case !c.corrects:
			landed++
			want, merged = replace(want, imported), c.tree
		default:
			corrected++
			if merged != nil { // else a user moved the branch back to before the merge
				want = correct(want, merged, m.server.commits[c.parents[0]].tree)
			}
		}
	}
	exact := !m.moved && m.store.End != Unknown && (m.store.End != Completed || m.store.Text == "")
	if got := m.server.commits[head].tree; exact && !maps.Equal(got, want) {
		return fmt.Errorf("%+v: the destination holds %v, want %v", m.store, got, want)
	}
	return checkCommits(m, landed, corrected)
}

// correct gives the keys that nobody changed between two trees what they have in the import.
func correct(t, from, to tree) tree {
	changes := tree{}
	for k := range union(from, imported) {
		if strings.HasPrefix(k, "in/") && from[k] == to[k] {
			changes[k] = imported[k]
		}
	}
	return apply(t, changes)
}

func checkCommits(m *model, landed, corrected int) error {
	m.seen["corrections"] += corrected
	certain := !m.moved && m.store.End != Unknown
	switch {
	case landed > 1 || corrected > landed && !m.moved:
		return fmt.Errorf("the import was landed %d times and corrected %d times", landed, corrected)
	case certain && (m.store.End == Completed) != (landed == 1):
		return fmt.Errorf("it ended %s, but was landed %d times", m.store.End, landed)
	case certain && m.store.Text == "" && (m.store.Corrected != nil) != (corrected == 1):
		return fmt.Errorf("corrected by %+v, but there are %d corrections", m.store.Corrected, corrected)
	}
	return nil
}
