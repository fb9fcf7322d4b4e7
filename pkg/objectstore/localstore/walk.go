package localstore

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Bounds of a page. Files are read for their ETags, so a page of large ones is
// handed over early.
const (
	pageObjects = 1000
	pageBytes   = 256 << 20
)

// errStopped says that the consumer of a listing has stopped.
var errStopped = errors.New("stopped")

// walk lists a tree in the order of its keys. It holds in memory the names of only those
// directories that it is in.
type walk struct {
	after   string
	yield   func([]objectstore.Listed, error) bool
	page    []objectstore.Listed
	bytes   int64 // content read for page
	skipped int   // links and special files
}

// dir lists the names in the directory root that begin with prefix. The key of root is dir.
func (w *walk) dir(ctx context.Context, root *os.Root, dir, prefix string) error {
	names, err := w.read(ctx, root, dir, prefix)
	if err != nil {
		return err
	}
	for _, n := range names {
		key := dir + n
		if !utf8.ValidString(key) {
			return fmt.Errorf("path %q is not valid UTF-8: %w", "/"+key, objectstore.ErrBadKey)
		}
		if name, isDir := strings.CutSuffix(n, "/"); isDir {
			err = w.enter(ctx, root, key, name)
		} else {
			err = w.file(ctx, root, key, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read returns the names in a directory under which objects may lie, sorted. That of a
// directory ends in '/', as it does in keys, which makes `a!` come before `a/` and `a0` after it.
func (w *walk) read(ctx context.Context, root *os.Root, dir, prefix string) ([]string, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, classify(root, err)
	}
	defer f.Close()
	var names []string
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries, err := f.ReadDir(pageObjects)
		for _, e := range entries {
			if n, ok := w.keep(e, dir, prefix); ok {
				names = append(names, n)
			}
		}
		if err == io.EOF {
			slices.Sort(names)
			return names, nil
		}
		if err != nil {
			return nil, classify(root, err)
		}
	}
}

// keep reports whether an object to be listed may lie under the entry.
func (w *walk) keep(e fs.DirEntry, dir, prefix string) (name string, ok bool) {
	n := e.Name()
	if !strings.HasPrefix(n, prefix) {
		return "", false
	}
	switch {
	case e.IsDir():
		n += "/"
		key := dir + n
		return n, key > w.after || strings.HasPrefix(w.after, key)
	case e.Type().IsRegular():
		return n, dir+n > w.after
	default:
		w.skipped++
		return "", false
	}
}

// enter lists the directory name in root, whose key is key.
func (w *walk) enter(ctx context.Context, root *os.Root, key, name string) error {
	sub, err := enter(root, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, objectstore.ErrNotFound) {
		return nil // gone since its parent was read
	}
	if err != nil {
		return err
	}
	defer sub.Close() //nolint:errcheck // only read from
	err = w.dir(ctx, sub, key, "")
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil
	}
	return err
}

// file lists one file.
func (w *walk) file(ctx context.Context, root *os.Root, key, name string) error {
	o, ok, err := describe(ctx, root, key, name)
	if err != nil {
		return err
	}
	if !ok {
		return nil
	}
	w.page = append(w.page, o.Listed())
	w.bytes += o.Size
	if len(w.page) < pageObjects && w.bytes < pageBytes {
		return nil
	}
	return w.flush()
}

// flush hands over what was listed since the last page.
func (w *walk) flush() error {
	if len(w.page) == 0 {
		return nil
	}
	if !w.yield(w.page, nil) {
		return errStopped
	}
	w.page, w.bytes = w.page[:0], 0
	return nil
}

// replaced bounds how often a file is opened again because another one took its name
// meanwhile.
const replaced = 100

// openRegular opens a file for reading; ok is false if it is none, is no
// regular file, or is still being written.
func openRegular(root *os.Root, name string) (f *os.File, info fs.FileInfo, ok bool, err error) {
	if name == "" || name == "." || name == ".." || strings.HasPrefix(name, tempPrefix) {
		return nil, nil, false, nil
	}
	for range replaced {
		named, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !named.Mode().IsRegular() {
			return nil, nil, false, nil
		}
		if err == nil {
			// Without O_NONBLOCK, opening a pipe that has taken the name would block.
			f, err = root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, false, classify(root, err)
		}
		if info, err = f.Stat(); err == nil && os.SameFile(named, info) {
			return f, info, true, nil
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, nil, false, classify(root, err)
		}
	}
	return nil, nil, false, fmt.Errorf("open %s: it was replaced %d times meanwhile", within(root, name), replaced)
}

// describe reads a file and returns its object; ok is false if it has none.
func describe(ctx context.Context, root *os.Root, key, name string) (o objectstore.Object, ok bool, err error) {
	f, info, ok, err := openRegular(root, name)
	if err != nil || !ok {
		return o, false, err
	}
	defer f.Close()
	if at := info.ModTime(); !objectstore.TimeFits(at) {
		return o, false, fmt.Errorf("file /%s was changed at %s, and only times of the years 1678 to 2261 can be imported: %w",
			key, at.UTC().Format(time.RFC3339), objectstore.ErrBadKey)
	}
	sum := md5.New()
	size, err := io.Copy(sum, reader{ctx, f})
	if err != nil {
		return o, false, fmt.Errorf("read /%s: %w", key, err)
	}
	return objectstore.Object{
		Key:     key,
		ETag:    hex.EncodeToString(sum.Sum(nil)),
		Size:    size, // of what was hashed, should the file be growing
		ModTime: info.ModTime().UTC(),
	}, true, nil
}

// reader reads until its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
