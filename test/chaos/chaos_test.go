package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/table"
	"github.com/rangefleet/rangefleet/test/chaos/overlay"
)

func printed(seed uint64, f form, a able) string {
	var b bytes.Buffer
	newPlan(seed, f, a).print(&b)
	return b.String()
}

// A seed is a plan.
func TestPlansRepeat(t *testing.T) {
	for _, f := range []form{shortForm, longForm} {
		seen := make(map[string]bool)
		for seed := range uint64(40) {
			text := printed(seed, f, able{mounts: true, clock: true})
			if again := printed(seed, f, able{mounts: true, clock: true}); again != text {
				t.Fatalf("seed %d:\n%s\nand then\n%s", seed, text, again)
			}
			seen[text] = true
		}
		if len(seen) != 40 {
			t.Errorf("40 seeds are %d plans", len(seen))
		}
	}
}

// The runs of the short form have all kinds of faults between them that can be
// injected, and so have a hundred long ones.
func TestEachKindOfFaultHasItsTurn(t *testing.T) {
	for _, tc := range []struct {
		name string
		form form
		runs uint64
		able able
	}{
		{"short", shortForm, uint64(layouts), able{mounts: true}},
		{"short, with clocks", shortForm, uint64(layouts), able{mounts: true, clock: true}},
		{"short, without the right to mount", shortForm, uint64(layouts), able{}},
		{"long", longForm, 100, able{mounts: true, clock: true}},
	} {
		seen := make(map[string]int)
		for seed := range tc.runs {
			for _, f := range newPlan(seed, tc.form, tc.able).faults {
				seen[f.kind.name]++
			}
		}
		for _, k := range kinds {
			possible := slices.ContainsFunc([]layout{plain, small, loop, embedded}, func(l layout) bool {
				return k.possible(l, tc.able) && (tc.able.mounts || l != small && l != loop)
			})
			if possible != (seen[k.name] > 0) {
				t.Errorf("%s: %s is possible: %t, and is there %d times", tc.name, k.name, possible, seen[k.name])
			}
		}
	}
}

// No two faults of a plan befall one thing at the same time.
func TestFaultsDoNotMeet(t *testing.T) {
	for seed := range uint64(100) {
		p := newPlan(seed, longForm, able{mounts: true, clock: true})
		for i, f := range p.faults {
			for _, o := range p.faults[:i] {
				apart := f.at >= o.at+o.dur || o.at >= f.at+f.dur
				for _, thing := range f.kind.befalls(p, f.target) {
					if !apart && slices.Contains(o.kind.befalls(p, o.target), thing) {
						t.Errorf("seed %d: %v and %v meet at %s", seed, f, o, thing)
					}
				}
			}
		}
	}
}

// The functions that are made to fail, and those that controls replace, are in the
// repository.
func TestPointsAndControlsAreThere(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	b := overlay.Build{Root: root, Out: t.TempDir(), Points: points, Clock: true}
	for _, c := range controls {
		b.Bodies = append(b.Bodies, c.bodies...)
	}
	// Nothing is to be built: the files are what takes time to go out of date.
	if err := b.Run(t.Context(), root); err == nil || !strings.Contains(err.Error(), "no Go files") {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(b.Out, "overlay.json"))
	if err != nil || !strings.Contains(string(text), "chaos_point.go") || !strings.Contains(string(text), "chaos_clock.go") {
		t.Errorf("%.300s, %v", text, err)
	}
	for _, name := range slices.Concat(workerPoints, coordinatorPoints) {
		if !slices.ContainsFunc(points, func(f overlay.Func) bool { return f.String() == name }) {
			t.Errorf("%s is no point", name)
		}
	}
}

func TestAMissingFunctionIsAnError(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	b := overlay.Build{Root: root, Out: t.TempDir(), Points: []overlay.Func{{Dir: "pkg/queue", Recv: "Queue", Name: "None"}}}
	if err := b.Run(t.Context(), root); err == nil || !strings.Contains(err.Error(), "queue.Queue.None") {
		t.Error(err)
	}
}

// A file that is not what its name says is found, whatever is wrong with it.
func TestFilesAreChecked(t *testing.T) {
	entries, err := job{bucket: "hive-500", dest: "a/"}.entries()
	if err != nil {
		t.Fatal(err)
	}
	w := table.NewWriter(table.Ranges)
	ranges, err := rangetest.Ranges(entries, breaks)
	if err != nil || len(ranges) < 2 {
		t.Fatal(len(ranges), err)
	}
	for _, key := range []string{"a", "b", "c"} {
		if err := w.Add([]byte(key), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	f := w.Close()
	if err := isFile(f.Meta.ID, f.Data); err != nil {
		t.Error(err)
	}
	if isFile(ranges[0].ID, f.Data) == nil {
		t.Error("another file passes")
	}
	for n := range f.Data {
		if isFile(f.Meta.ID, f.Data[:n]) == nil {
			t.Fatalf("the first %d bytes of %d pass", n, len(f.Data))
		}
		bad := slices.Clone(f.Data)
		bad[n] ^= 1
		if isFile(f.Meta.ID, bad) == nil {
			t.Fatalf("a changed byte %d passes", n)
		}
	}
}

// A control that does not exist would make no run, and so no run that fails.
func TestOnlyControlsThatThereAre(t *testing.T) {
	for _, c := range controls {
		if o, err := parse([]string{"-control", c.name}); err != nil || o.only != c.name {
			t.Errorf("control %s: %v", c.name, err)
		}
	}
	if _, err := parse([]string{"-control", "nonsense"}); err == nil {
		t.Error("a control of no name was taken")
	}
}
