package trial_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

func TestJudge(t *testing.T) {
	part, whole := &trial.Walk{Keys: []string{"a", "b", "c"}}, &trial.Walk{Keys: []string{"a", "b", "c"}, Complete: true}
	for name, c := range map[string]struct {
		walk      *trial.Walk
		after     string
		keys      string // of the answer
		more      bool
		want, got string // of the contradiction; both "": there is none
		lost      bool
	}{
		"all":                        {whole, "a", "b c", false, "", "", false},
		"a short page":               {whole, "", "a", true, "", "", false},
		"more, and nothing follows":  {whole, "a", "b c", true, "", "", false},
		"nothing after the last":     {whole, "c", "", false, "", "", false},
		"nothing behind the last":    {whole, "d", "", false, "", "", false},
		"more than was walked":       {part, "a", "b c d", true, "", "", false},
		"behind what was walked":     {part, "c", "e", false, "", "", false},
		"an early end":               {whole, "a", "b", false, "c", "", true},
		"an early end of a part":     {part, "a", "b", false, "c", "", true},
		"an end at once":             {whole, "a", "", false, "b", "", true},
		"none, and yet more":         {whole, "a", "", true, "b", "", true},
		"a key passed over":          {whole, "a", "c", false, "b", "c", true},
		"a key passed over later":    {part, "", "a c", true, "b", "c", true},
		"the first key of a part":    {part, "a", "d", true, "b", "d", true},
		"the start itself":           {whole, "a", "a b c", false, "b", "a", false},
		"the start ignored":          {whole, "b", "a b c", false, "c", "a", false},
		"a key that was not walked":  {whole, "a", "b bb c", false, "c", "bb", false},
		"a key behind all":           {whole, "a", "b c d", false, "", "d", false},
		"a key where there are none": {&trial.Walk{Complete: true}, "", "x", false, "", "x", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, contradicts := c.walk.Judge(c.after, trial.Answer{Keys: strings.Fields(c.keys), More: c.more})
			if want := (trial.Contradiction{Want: c.want, Got: c.got}); got != want || contradicts != (c.want+c.got != "") || got.Loses() != c.lost {
				t.Errorf("Judge = %+v, %t, loses %t; want %+v, loses %t", got, contradicts, got.Loses(), want, c.lost)
			}
		})
	}
	if _, contradicts := whole.Judge("c", trial.Answer{More: true}); !contradicts {
		t.Error("an answer without keys that promises more, where none follow, passes")
	}
}

// TestJudgeNamesTheFirstDifference changes true answers by one key, at random, and
// compares with what was changed.
func TestJudgeNamesTheFirstDifference(t *testing.T) {
	r := seeded.Rand(t)
	m := newModel(1, tree(40)...)
	w := &trial.Walk{Keys: m.keys, Complete: true}
	for range 2000 {
		after := w.Starts(r, 1)[0].After
		page, more := truly(1+r.IntN(50), after, m.following("", after))
		if c, contradicts := w.Judge(after, trial.Answer{Keys: page, More: more}); contradicts {
			t.Fatalf("the true answer after %q contradicts the walk by %+v", after, c)
		}
		if len(page) < 2 {
			continue
		}
		i := r.IntN(len(page) - 1)
		lost := slices.Delete(slices.Clone(page), i, i+1)
		if c, _ := w.Judge(after, trial.Answer{Keys: lost, More: more}); c != (trial.Contradiction{Want: page[i], Got: page[i+1]}) {
			t.Errorf("without key %q after %q: %+v", page[i], after, c)
		}
		invented := slices.Insert(slices.Clone(page), i+1, page[i]+"\x00")
		if c, _ := w.Judge(after, trial.Answer{Keys: invented, More: more}); c != (trial.Contradiction{Want: page[i+1], Got: page[i] + "\x00"}) {
			t.Errorf("with another key behind %q after %q: %+v", page[i], after, c)
		}
		if c, _ := w.Judge(after, trial.Answer{Keys: page[:i]}); c != (trial.Contradiction{Want: page[i]}) {
			t.Errorf("that ends before %q after %q: %+v", page[i], after, c)
		}
	}
}

// TestStarts checks what Starts promises, and that it tries the places where stores
// are known to err.
func TestStarts(t *testing.T) {
	r := seeded.Rand(t)
	for range 50 {
		siblings := 1 + r.IntN(100)
		w := &trial.Walk{Keys: newModel(10, tree(siblings)...).following("", ""), Complete: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			w.Prefix = "events"
			w.Keys = newModel(10, tree(siblings)...).following(w.Prefix, "")
		}
		starts := w.Starts(r, 200)
		if len(starts) < 40 || len(starts) > 200 {
			t.Fatalf("%d starts for %d keys, want up to 200", len(starts), len(w.Keys))
		}
		inside := checkStarts(t, w, starts)
		if inside[trial.SmallPage] < 3 || inside[0] < 3 {
			t.Errorf("%v starts inside of the directory with siblings, want several, for small pages and for full ones", inside)
		}
	}
	if starts := (&trial.Walk{Complete: true}).Starts(r, 10); len(starts) > 0 {
		t.Errorf("starts %+v of no keys", starts)
	}
}

// checkStarts checks each start, and returns how many lie inside of the directory with
// siblings, by the keys of their pages.
func checkStarts(t *testing.T, w *trial.Walk, starts []trial.Start) (inside map[int]int) {
	t.Helper()
	seen := map[trial.Start]bool{}
	inside = map[int]int{}
	for _, s := range starts {
		id := trial.Start{After: s.After, Keys: s.Keys}
		if seen[id] || s.After < w.Prefix || !utf8.ValidString(s.After) || s.What == "" ||
			!w.Complete && s.After >= w.Keys[len(w.Keys)-1] {
			t.Errorf("start %+v with prefix %q", s, w.Prefix)
		}
		seen[id] = true
		if strings.HasPrefix(s.After, "events/") {
			inside[s.Keys]++
		}
	}
	return inside
}
