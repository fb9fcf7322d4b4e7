package localstore_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore/localstore"
)

// No file has two keys: allowed directories that lead to the same files are refused.
func TestAliasesAreRefused(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	expect.NoError(t, err)
	at := func(name string) string { return filepath.Join(top, name) }
	for _, dir := range []string{"data/sub/deep", "data-2", "other"} {
		expect.NoError(t, os.MkdirAll(at(dir), 0o750))
	}
	for link, to := range map[string]string{
		"alias": "data", "again": "alias", "sublink": "data/sub", "data/inner": "../other", "up": ".",
	} {
		expect.NoError(t, os.Symlink(to, at(link)))
	}
	for _, c := range []struct {
		allowed string // separated by blanks
		refused bool
	}{
		{"data", false},
		{"alias", false},
		{"data data", false},
		{"data data-2 other", false},
		{"data data/sub data/sub/deep", false},
		{"data/sub/deep data", false},
		{"alias alias/sub", false},
		{"data alias", true},
		{"alias data", true},
		{"alias again", true},
		{"other data alias/sub", true},
		{"data sublink", true},
		{"sublink data", true},
		{"data/sub alias", true},
		{"data/sub/deep sublink", true},
		{"sublink other", false},
		{"data/inner data", false}, // data does not follow the link
		{"data/inner other", true},
		{"data up", true},
		{"up/data up", false},
		{"up/data data", true},
	} {
		var dirs []string
		for name := range strings.FieldsSeq(c.allowed) {
			dirs = append(dirs, at(name))
		}
		_, err := localstore.New(dirs, slog.New(slog.DiscardHandler))
		if (err != nil) != c.refused {
			t.Errorf("%s: %v, want that it is refused: %t", c.allowed, err, c.refused)
		}
	}
	_, err = localstore.New([]string{at("data"), at("sublink")}, slog.New(slog.DiscardHandler))
	for _, part := range []string{at("data"), at("sublink"), at("data/sub")} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
}
