// Package lakefs_test compares Rangefleet's files with those of lakeFS's own packages. lakeFS
// must read Rangefleet's files, and write the same files of the same entries.
package lakefs_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/golden"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/test/lakefs/oracle"
)

// maketree is the program that writes Rangefleet's files.
var maketree string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "maketree-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	maketree = filepath.Join(dir, "maketree")
	build := exec.Command("go", "build", "-o", maketree, "./internal/maketree")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		panic("build maketree: " + err.Error() + "\n" + string(out))
	}
	return m.Run()
}

// lakeFS's packages make the same metaranges of the listings as a lakeFS server did, and read
// Rangefleet's files.
func TestGoldenListings(t *testing.T) {
	listings, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listings {
		t.Run(l.Name, func(t *testing.T) {
			if id := compare(t, l.Entries, l.Breaks).id; id != l.MetarangeID {
				t.Errorf("metarange ID %s, want %s", id, l.MetarangeID)
			}
		})
	}
}

// Rangefleet makes the same ranges and metarange of generated entries as lakeFS, with any
// settings of ranges.
func TestGeneratedEntries(t *testing.T) {
	rng := seeded.Rand(t)
	bySize, byAnchor := 0, 0
	for range 30 {
		entries := entrytest.Random(rng, 1+rng.IntN(1500))
		breaks := partition.Breaks{MaxSize: 500 + rng.Uint64N(50_000), Raggedness: 1 + rng.Uint64N(400)}
		if rng.IntN(3) == 0 {
			breaks.MinSize = rng.Uint64N(breaks.MaxSize)
		}
		ranges := compare(t, entries, breaks).ranges
		for _, r := range ranges[:len(ranges)-1] { // the last one may end because the entries end
			if breaks.Anchor([]byte(r.MaxKey)) {
				byAnchor++
			} else {
				bySize++
			}
		}
	}
	if bySize == 0 || byAnchor == 0 {
		t.Errorf("%d ranges ended by size, %d at anchors: the test needs both", bySize, byAnchor)
	}
}

// tree is a metarange with its ranges.
type tree struct {
	id     string
	ranges []partition.RangeMetadata
}

// compare makes the tree of entries with Rangefleet and with lakeFS's packages, reads
// Rangefleet's files with lakeFS's packages, and returns lakeFS's tree.
func compare(t *testing.T, entries []entry.Entry, breaks partition.Breaks) tree {
	t.Helper()
	id, ranges, err := oracle.Metarange(entries, breaks)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if got := ourTree(t, dir, entries, breaks); got != id {
		t.Errorf("%d entries, %+v: Rangefleet made metarange %s, lakeFS made %s", len(entries), breaks, got, id)
		return tree{id, ranges}
	}

	manager := oracle.Manager(dir)
	got, err := oracle.Ranges(t.Context(), manager, id)
	if err != nil {
		t.Fatalf("read Rangefleet's metarange %s with lakeFS: %v", id, err)
	}
	if !slices.Equal(got, ranges) {
		t.Errorf("Rangefleet's metarange %s holds\n%v\nlakeFS's holds\n%v", id, got, ranges)
	}
	var read []entry.Entry
	for _, r := range got {
		part, err := oracle.Entries(t.Context(), manager, r.ID)
		if err != nil {
			t.Fatalf("read Rangefleet's range %s with lakeFS: %v", r.ID, err)
		}
		read = append(read, part...)
	}
	if !slices.Equal(read, entries) {
		t.Errorf("lakeFS read %d entries, which differ from the %d entries that Rangefleet wrote", len(read), len(entries))
	}
	return tree{id, ranges}
}

// ourTree stores the tree of entries in dir with Rangefleet, and returns its ID.
func ourTree(t *testing.T, dir string, entries []entry.Entry, breaks partition.Breaks) string {
	t.Helper()
	var in bytes.Buffer
	if err := entrytest.WriteLines(&in, entries); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), maketree, "-dir", dir,
		"-min", strconv.FormatUint(breaks.MinSize, 10),
		"-max", strconv.FormatUint(breaks.MaxSize, 10),
		"-raggedness", strconv.FormatUint(breaks.Raggedness, 10))
	cmd.Stdin, cmd.Stderr = &in, t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
