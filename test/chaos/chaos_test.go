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

func printed(seed uint64, f form, a abilities) string {
	var b bytes.Buffer
	newPlan(seed, f, a).print(&b)
	return b.String()
}

// A seed always gives the same plan, and different seeds give different plans.
func TestPlansRepeat(t *testing.T) {
	for _, f := range []form{shortForm, longForm} {
		seen := make(map[string]bool)
		for seed := range uint64(40) {
			text := printed(seed, f, abilities{mounts: true, clock: true})
			if again := printed(seed, f, abilities{mounts: true, clock: true}); again != text {
				t.Fatalf("seed %d:\n%s\nand then\n%s", seed, text, again)
			}
			seen[text] = true
		}
		if len(seen) != 40 {
			t.Errorf("40 seeds give %d plans", len(seen))
		}
	}
}

// Every kind of fault that can be injected occurs in the short runs, and in a hundred long
// ones.
func TestEveryKindOfFaultOccurs(t *testing.T) {
	for _, tc := range []struct {
		name string
		form form
		runs uint64
		able abilities
	}{
		{"short", shortForm, uint64(layouts), abilities{mounts: true}},
		{"short, with clocks", shortForm, uint64(layouts), abilities{mounts: true, clock: true}},
		{"short, without the right to mount", shortForm, uint64(layouts), abilities{}},
		{"long", longForm, 100, abilities{mounts: true, clock: true}},
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
				t.Errorf("%s: fault %s is possible: %t, but occurs %d times", tc.name, k.name, possible, seen[k.name])
			}
		}
	}
}

// No two faults of a plan affect the same thing at the same time.
func TestFaultsDoNotOverlap(t *testing.T) {
	for seed := range uint64(100) {
		p := newPlan(seed, longForm, abilities{mounts: true, clock: true})
		for i, f := range p.faults {
			for _, o := range p.faults[:i] {
				apart := f.at >= o.at+o.dur || o.at >= f.at+f.dur
				for _, thing := range f.kind.affects(p, f.target) {
					if !apart && slices.Contains(o.kind.affects(p, o.target), thing) {
						t.Errorf("seed %d: %v and %v both affect %s", seed, f, o, thing)
					}
				}
			}
		}
	}
}

// The functions at which processes can die, and those that controls replace, exist.
func TestPointsAndControlsExist(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	b := overlay.Build{Root: root, Out: t.TempDir(), Points: points, Clock: true}
	for _, c := range controls {
		b.Bodies = append(b.Bodies, c.bodies...)
	}
	// The root has no Go files, so that the overlay is written and nothing is built.
	if err := b.Run(t.Context(), root); err == nil || !strings.Contains(err.Error(), "no Go files") {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(b.Out, "overlay.json"))
	if err != nil || !strings.Contains(string(text), "chaos_point.go") || !strings.Contains(string(text), "chaos_clock.go") {
		t.Errorf("%.300s, %v", text, err)
	}
	for _, name := range slices.Concat(workerPoints, coordinatorPoints) {
		if !slices.ContainsFunc(points, func(f overlay.Func) bool { return f.String() == name }) {
			t.Errorf("%s is not a point", name)
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

// A file whose content does not match its name is detected, whatever is wrong with it.
func TestDamagedFilesAreDetected(t *testing.T) {
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
		t.Error("another file under that name passes")
	}
	for n := range f.Data {
		if isFile(f.Meta.ID, f.Data[:n]) == nil {
			t.Fatalf("a file cut to %d of %d bytes passes", n, len(f.Data))
		}
		bad := slices.Clone(f.Data)
		bad[n] ^= 1
		if isFile(f.Meta.ID, bad) == nil {
			t.Fatalf("a file with another byte %d passes", n)
		}
	}
}

// An unknown control would make no run, and so no run that fails.
func TestUnknownControlsAreRefused(t *testing.T) {
	for _, c := range controls {
		if o, err := parse([]string{"-control", c.name}); err != nil || o.only != c.name {
			t.Errorf("control %s: %v", c.name, err)
		}
	}
	if _, err := parse([]string{"-control", "nonsense"}); err == nil {
		t.Error("an unknown control was accepted")
	}
}
