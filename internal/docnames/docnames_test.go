package docnames

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
)

const root = "../.."

// clients is a document about the calls of other programs, whose names are not in the tree.
const clients = "docs/clients.md"

// guides returns the documents about the code.
func guides(t *testing.T) []string {
	t.Helper()
	files := []string{"ARCHITECTURE.md", "BENCHMARKS.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"}
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	expect.NoError(t, err)
	for _, file := range docs {
		if file := "docs/" + filepath.Base(file); file != clients {
			files = append(files, file)
		}
	}
	return files
}

func TestDocumentsNameWhatExists(t *testing.T) {
	all, err := readTree(root)
	expect.NoError(t, err)
	for _, file := range guides(t) {
		text, err := os.ReadFile(filepath.Join(root, file))
		expect.NoError(t, err)
		for _, name := range all.missing(string(text)) {
			t.Errorf("%s: there is no %s", file, name)
		}
	}
}

func TestMissing(t *testing.T) {
	all, err := readTree(root)
	expect.NoError(t, err)
	text := "`docnames/tree_test.go` `internal/docnames` `docnames.readTree` `docnames.tree.missing` `tree.missing` `readTree()` `hasPath` `ProtoName` " +
		"`time.Sleep` `ranges.raggedness` `bench.json` `data/a.csv` `word` `a sentence of words`\n" +
		"```\n`docnames/gone.go` message ProtoName\n```\n" +
		"`docnames/gone.go` `internal/gone` `docnames.Gone` `docnames.tree.gone` `tree.gone` `Gone.read` `gone.read` `hasGone` `goneFor()` `hasGone`"
	want := []string{
		"docnames/gone.go", "internal/gone", "docnames.Gone", "docnames.tree.gone", "tree.gone", "Gone.read", "gone.read", "hasGone", "goneFor()",
	}
	if got := all.missing(text); !slices.Equal(got, want) {
		t.Errorf("missing are %q, want %q", got, want)
	}
}

// Each promise of SECURITY.md, and each answer to an attack, names a test that exists, or a target
// of the Makefile.
func TestSecurityIsTested(t *testing.T) {
	all, err := readTree(root)
	expect.NoError(t, err)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	expect.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	expect.NoError(t, err)
	rows := testedRows(string(text))
	if len(rows) < 40 {
		t.Errorf("%d rows have tests, want the promises and the attempts", len(rows))
	}
	for _, row := range rows {
		for _, fault := range all.untested(row, string(makefile)) {
			t.Errorf("SECURITY.md, %q: %s", row.what, fault)
		}
	}
}

func TestUntested(t *testing.T) {
	all, err := readTree(root)
	expect.NoError(t, err)
	const makefile = "fuzz: build\n"
	text := "| x | tests |\n| --- | --- |\n| good | `docnames.TestUntested`, `make fuzz` |\n| none | see there |\n" +
		"| gone | `docnames.TestGone` |\n| no package | `nowhere.TestUntested` |\n| no test | `docnames.readTree` |\n| no target | `make fuz` |\n\n| x | rule |\n| --- | --- |\n| y | z |\n"
	var got []string
	for _, row := range testedRows(text) {
		got = append(got, row.what+": "+strings.Join(all.untested(row, makefile), ", "))
	}
	want := []string{
		"good: ", "none: it names no test", "gone: there is no docnames.TestGone", "no package: there is no nowhere.TestUntested",
		"no test: docnames.readTree is no test", "no target: there is no make fuz",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
