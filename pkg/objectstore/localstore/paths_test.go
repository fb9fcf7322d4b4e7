package localstore_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Only owner and group have access to what is stored, even if the umask takes nothing away.
func TestOnlyOwnerAndGroupHaveAccess(t *testing.T) {
	tr := newTree(t)
	defer syscall.Umask(syscall.Umask(0))
	tr.must(tr.store.Put(t.Context(), tr.key("ns/_lakefs/id"), []byte("x"), objectstore.Sum{}))
	for name, want := range map[string]os.FileMode{"ns": 0o750, "ns/_lakefs": 0o750, "ns/_lakefs/id": 0o640} {
		info, err := os.Stat(tr.path(name))
		tr.must(err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s is of mode %o, want %o", name, got, want)
		}
	}
}

// An error names the whole path of its file, wherever in a tree the file lies.
func TestErrorsNameWholePaths(t *testing.T) {
	tr := newTree(t, "a/file", "a/dir/file")
	tr.must(os.Symlink("dir", tr.path("a/link")))
	long := strings.Repeat("n", 300)
	list := func(prefix string) (err error) {
		for _, failed := range tr.store.List(t.Context(), tr.key(prefix), "", objectstore.ListOptions{}) {
			err = failed
		}
		return err
	}
	get := func(name string) error {
		_, err := tr.store.Get(t.Context(), tr.key(name), 1<<20)
		return err
	}
	stat := func(name string) error {
		_, err := tr.store.Stat(t.Context(), tr.key(name))
		return err
	}
	put := func(name string) error { return tr.store.Put(t.Context(), tr.key(name), nil, objectstore.Sum{}) }
	for name, tc := range map[string]struct {
		err  error
		path string
	}{
		"list nothing":            {list("a/none/"), "a/none"},
		"list a file":             {list("a/file/"), "a/file"},
		"list a link":             {list("a/link/"), "a/link"},
		"list a long name":        {list("a/" + long + "/"), "a/" + long},
		"get nothing":             {get("a/none"), "a/none"},
		"get a long name":         {get("a/" + long), "a/" + long},
		"get through a link":      {get("a/link/file"), "a/link"},
		"stat a long name":        {stat("a/" + long), "a/" + long},
		"put below a file":        {put("a/file/x"), "a/file"},
		"put below a link":        {put("a/link/x"), "a/link"},
		"put a long name":         {put("a/" + long), "a/" + long},
		"put in a long name":      {put("a/" + long + "/x"), "a/" + long},
		"put in place of a tree":  {put("a/dir"), "a/dir"},
		"put deep, in a long one": {put("a/b/c/" + long + "/x"), "a/b/c/" + long},
	} {
		if tc.err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		// What the caller named leads the text; what the system says follows.
		_, cause, _ := strings.Cut(tc.err.Error(), ": ")
		if !strings.HasPrefix(name, "get nothing") && !strings.Contains(cause, tr.path(tc.path)) || !objectstore.Permanent(tc.err) {
			t.Errorf("%s: %v, want %s in what the system says", name, tc.err, tr.path(tc.path))
		}
	}
}
