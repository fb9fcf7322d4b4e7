package docnames

import (
	"os"
	"path/filepath"
	"slices"
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
