package localstore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/localstore"
)

// tree is a directory with files in it, and a store of it.
type tree struct {
	t     *testing.T
	dir   string
	store *localstore.Store
}

func newTree(t *testing.T, files ...string) tree {
	t.Helper()
	return treeIn(t, t.TempDir(), files...)
}

func treeIn(t *testing.T, dir string, files ...string) tree {
	t.Helper()
	tr := tree{t: t, dir: dir}
	for _, file := range files {
		tr.write(file)
	}
	store, err := localstore.New([]string{dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	tr.store = store
	return tr
}

func (tr tree) path(name string) string { return tr.dir + "/" + name }
func (tr tree) key(name string) string  { return tr.path(name)[1:] }

func (tr tree) write(name string) {
	tr.t.Helper()
	tr.must(os.MkdirAll(filepath.Dir(tr.path(name)), 0o755))
	tr.must(os.WriteFile(tr.path(name), []byte(name), 0o644))
}

func (tr tree) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

// list returns the listed keys, less the tree's directory.
func (tr tree) list(prefix, after string) (names []string, err error) {
	tr.t.Helper()
	if after != "" {
		after = tr.key(after)
	}
	for page, err := range tr.store.List(tr.t.Context(), tr.key(prefix), after, objectstore.ListOptions{}) {
		if err != nil {
			return names, err
		}
		for _, o := range page {
			names = append(names, strings.TrimPrefix(string(o.Key), tr.key("")))
		}
	}
	return names, nil
}

func (tr tree) expect(prefix, after string, want ...string) {
	tr.t.Helper()
	if got, err := tr.list(prefix, after); err != nil || !slices.Equal(got, want) {
		tr.t.Errorf("List(%q, after %q) = %q, %v, want %q", prefix, after, got, err, want)
	}
}

func (tr tree) expectError(want error, prefix, after string) {
	tr.t.Helper()
	if got, err := tr.list(prefix, after); !errors.Is(err, want) {
		tr.t.Errorf("List(%q, after %q) = %q, %v, want %v", prefix, after, got, err, want)
	}
}

func TestOrderIsThatOfKeys(t *testing.T) {
	tr := newTree(t, "a0", "a/b", "a!", "a/b!", "A", "a-/x", "a/é", "a/z/y")
	tr.expect("", "", "A", "a!", "a-/x", "a/b", "a/b!", "a/z/y", "a/é", "a0")
	tr.expect("", "a/b", "a/b!", "a/z/y", "a/é", "a0")
	tr.expect("a", "a/", "a/b", "a/b!", "a/z/y", "a/é", "a0")
}

// TestListEqualsNaive compares random trees with the sorted list of their keys.
func TestListEqualsNaive(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var keys []string
		for range 40 {
			var parts []string
			for range 1 + rng.IntN(4) {
				parts = append(parts, []string{"a", "a!", "a0", "b", "-", "é", "a b"}[rng.IntN(7)])
			}
			key := strings.Join(parts, "/")
			if !slices.ContainsFunc(keys, func(k string) bool {
				return k == key || strings.HasPrefix(k, key+"/") || strings.HasPrefix(key, k+"/")
			}) {
				keys = append(keys, key)
			}
		}
		tr := newTree(t, keys...)
		slices.Sort(keys)
		for range 40 {
			prefix, after := keys[rng.IntN(len(keys))], keys[rng.IntN(len(keys))]
			prefix = prefix[:strings.LastIndex(prefix, "/")+1] + []string{"", "a", "é"}[rng.IntN(3)]
			if rng.IntN(3) == 0 {
				after = after[:1+rng.IntN(len(after))] // may cut a rune: any bytes will do
			}
			want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k <= after || !strings.HasPrefix(k, prefix) })
			if got, err := tr.list(prefix, after); err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d: keys %q: List(%q, after %q) = %q, %v, want %q", seed, keys, prefix, after, got, err, want)
			}
		}
	}
}

func TestOnlyRegularFilesAreObjects(t *testing.T) {
	tr := newTree(t, "a", "dir/x")
	tr.must(os.Symlink("a", tr.path("link")))
	tr.must(os.Symlink("dir", tr.path("linkdir")))
	tr.must(os.Symlink(".", tr.path("dir/loop")))
	tr.must(os.Symlink("nowhere", tr.path("broken")))
	tr.must(syscall.Mkfifo(tr.path("pipe"), 0o644))
	tr.must(os.Mkdir(tr.path("empty"), 0o755))
	tr.expect("", "", "a", "dir/x")
	for _, name := range []string{"link", "broken", "pipe", "dir"} {
		if _, err := tr.store.Stat(t.Context(), tr.key(name)); !errors.Is(err, objectstore.ErrNotFound) {
			t.Errorf("Stat(%s) = %v, want ErrNotFound", name, err)
		}
		if _, err := tr.store.Get(t.Context(), tr.key(name), 1<<20); !errors.Is(err, objectstore.ErrNotFound) {
			t.Errorf("Get(%s) = %v, want ErrNotFound", name, err)
		}
	}
	tr.expectError(objectstore.ErrRefused, "linkdir/", "")
	tr.expectError(objectstore.ErrNotFound, "a/", "")
	tr.expectError(objectstore.ErrNotFound, "none/deeper/", "")
	tr.expect("empty/", "")
}

// TestConfined tries to leave the allowed directory with every call.
func TestConfined(t *testing.T) {
	outer := newTree(t, "src/x", "src-evil/x", "secret/x", "src/inner/x")
	tr := treeIn(t, outer.path("src"))
	tr.must(os.Symlink("../secret", tr.path("rel")))
	tr.must(os.Symlink(outer.path("secret"), tr.path("abs")))
	tr.must(os.Symlink("inner", tr.path("within")))
	tr.must(os.Symlink("../secret/x", tr.path("file")))
	before, err := outer.list("secret/", "")
	tr.must(err)
	for _, name := range []string{
		"../secret/x", "../src-evil/x", "../src/../secret/x", "rel/x", "abs/x", "within/x", "./x", "inner//x", "inner/../x", "../x",
	} {
		key := tr.key(name)
		_, errStat := tr.store.Stat(t.Context(), key)
		_, errGet := tr.store.Get(t.Context(), key, 1<<20)
		errs := map[string]error{"Stat": errStat, "Get": errGet, "Put": tr.store.Put(t.Context(), key, nil, objectstore.Sum{}), "Check": tr.store.Check(key)}
		for page, err := range tr.store.List(t.Context(), key, "", objectstore.ListOptions{}) {
			errs["List"] = err
			if len(page) > 0 {
				t.Errorf("List(%s) = %+v", name, page)
			}
		}
		for call, err := range errs {
			if !errors.Is(err, objectstore.ErrRefused) {
				t.Errorf("%s(%s) = %v, want ErrRefused", call, name, err)
			}
		}
		if errs["List"] == nil {
			t.Errorf("List(%s) had no error", name)
		}
	}
	// A link to a file is replaced by Put, not written through.
	tr.must(tr.store.Put(t.Context(), tr.key("file"), []byte("new"), objectstore.Sum{}))
	if body, err := os.ReadFile(outer.path("secret/x")); err != nil || string(body) != "secret/x" {
		t.Errorf("the file outside holds %q, %v", body, err)
	}
	after, err := outer.list("secret/", "")
	tr.must(err)
	if !slices.Equal(before, after) {
		t.Errorf("outside lie %q, want %q", after, before)
	}
}

// A file whose time cannot be represented is refused by name. Such a time was once mistaken
// for one centuries earlier.
func TestTimesThatDoNotFit(t *testing.T) {
	tr := newTree(t, "a", "b")
	at := time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC)
	far := syscall.Timeval{Sec: at.Unix()} // os.Chtimes has nanoseconds
	tr.must(syscall.Utimes(tr.path("b"), []syscall.Timeval{far, far}))
	if info, err := os.Stat(tr.path("b")); err != nil || !info.ModTime().Equal(at) {
		t.Fatalf("%v, %v: the file system does not keep the time %v", info, err, at)
	}
	_, errStat := tr.store.Stat(t.Context(), tr.key("b"))
	var errList error
	for _, err := range tr.store.List(t.Context(), tr.key(""), "", objectstore.ListOptions{}) {
		errList = err
	}
	for _, err := range []error{errStat, errList} {
		if !errors.Is(err, objectstore.ErrBadKey) || !strings.Contains(err.Error(), tr.path("b")) || !strings.Contains(err.Error(), "2400") {
			t.Errorf("%v, want ErrBadKey that names the file and the time", err)
		}
	}
}

// TestAllowedBehindLink reaches the allowed directory itself through a link.
func TestAllowedBehindLink(t *testing.T) {
	outer := newTree(t, "real/dir/x")
	outer.must(os.Symlink("real", outer.path("alias")))
	tr := treeIn(t, outer.path("alias"))
	tr.expect("dir/", "", "dir/x")
	outer.must(os.MkdirAll(outer.path("elsewhere"), 0o750))
	outer.must(os.Symlink("../elsewhere", outer.path("real/inner")))
	both, err := localstore.New([]string{outer.path("real"), outer.path("real/inner")}, slog.New(slog.DiscardHandler))
	tr.must(err)
	if err := both.Check(treeIn(t, outer.path("real/inner")).key("x")); err != nil {
		t.Errorf("the nearest allowed directory does not count: %v", err)
	}
}

// TestAfterSkipsSubtrees has a name that fails a listing in a subtree that is to be skipped.
func TestAfterSkipsSubtrees(t *testing.T) {
	tr := newTree(t, "a/\xff", "b/x/\xff", "b/y", "c", "d/\xff")
	tr.expectError(objectstore.ErrBadListing, "", "")
	tr.expect("b/", "b/x/\xff~", "b/y")
	tr.expect("b", "b/x0", "b/y")
	tr.expect("c", "a/z", "c")
	_, err := tr.list("", "c")
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", tr.path("d/\xff"))) {
		t.Errorf("error %v does not name %q", err, tr.path("d/\xff"))
	}
}

// TestVanishing deletes files that a running listing has yet to come to.
func TestVanishing(t *testing.T) {
	var files []string
	for i := range 1500 {
		files = append(files, fmt.Sprintf("a/%04d", i))
	}
	tr := newTree(t, append(files, "b/c/x", "b/y", "d/z")...)
	var got []string
	for page, err := range tr.store.List(t.Context(), tr.key(""), "", objectstore.ListOptions{}) {
		tr.must(err)
		if got == nil {
			tr.must(os.RemoveAll(tr.path("b")))
			tr.must(os.Remove(tr.path("a/1200")))
			tr.must(os.Remove(tr.path("a/1201")))
			tr.must(os.Symlink("0000", tr.path("a/1201")))
		}
		for _, o := range page {
			got = append(got, strings.TrimPrefix(string(o.Key), tr.key("")))
		}
	}
	want := append(slices.Concat(files[:1200], files[1202:]), "d/z")
	if !slices.Equal(got, want) {
		t.Errorf("listed %d files, want the %d that are left", len(got), len(want))
	}
}

// A file that is replaced all the time, by renaming, always exists.
func TestReplacedFilesAreThere(t *testing.T) {
	tr := newTree(t, "often", "next")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := os.WriteFile(tr.path("next"), []byte("often"), 0o644); err != nil {
				t.Error(err)
				return
			}
			if err := os.Rename(tr.path("next"), tr.path("often")); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for range 3000 {
		if _, err := tr.store.Stat(t.Context(), tr.key("often")); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	<-stopped
}

func TestUnfinishedFilesAreNoObjects(t *testing.T) {
	tr := newTree(t, "a/.rangefleet-tmp-LEFT", "a/x")
	tr.expect("", "", "a/x")
	key := tr.key("a/.rangefleet-tmp-LEFT")
	if _, err := tr.store.Stat(t.Context(), key); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("Stat = %v, want ErrNotFound", err)
	}
	if _, err := tr.store.Get(t.Context(), key, 1<<20); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	if err := tr.store.Put(t.Context(), key, nil, objectstore.Sum{}); !errors.Is(err, objectstore.ErrRefused) {
		t.Errorf("Put = %v, want ErrRefused", err)
	}
}

// TestPutLeavesNothingBehind has Put fail in every way that works for root.
func TestPutLeavesNothingBehind(t *testing.T) {
	tr := newTree(t, "file", "dir/x")
	for name, want := range map[string]error{
		"new/deep/er/y":          nil,
		"file":                   nil,
		"dir":                    objectstore.ErrRefused,
		"":                       objectstore.ErrRefused,
		strings.Repeat("n", 256): objectstore.ErrRefused,
		"nul\x00":                objectstore.ErrRefused,
		"file/below":             objectstore.ErrNotFound,
	} {
		if err := tr.store.Put(t.Context(), tr.key(name), []byte("new"), objectstore.Sum{}); !errors.Is(err, want) {
			t.Errorf("Put(%q) = %v, want %v", name, err, want)
		}
	}
	var all []string
	tr.must(filepath.WalkDir(tr.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(path, tr.dir+"/"))
		}
		return err
	}))
	if want := []string{"dir/x", "file", "new/deep/er/y"}; !slices.Equal(all, want) {
		t.Errorf("the directory holds %q, want %q", all, want)
	}
}

func TestPutConcurrently(t *testing.T) {
	tr := newTree(t)
	errs := make(chan error)
	for range 16 {
		go func() { errs <- tr.store.Put(t.Context(), tr.key("a/b/c/d"), []byte("same"), objectstore.Sum{}) }()
	}
	for range 16 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	tr.expect("", "", "a/b/c/d")
}
