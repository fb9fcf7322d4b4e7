// Package localstore is an objectstore.Store of local files, confined to some directories.
//
// The objects are the regular files; their keys are their absolute paths less
// the first '/'. Symbolic links and other special files are no objects and are
// never followed. The allowed directories themselves may be reached through
// links, what lies below them may not: every file has one key.
package localstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Store is the file system below some directories; see objectstore.Store. It
// is safe for concurrent use, also by several processes. An object's ETag is
// the MD5 of its content in hex, so listing reads every file that it lists.
type Store struct {
	allowed []string // absolute, clean
	log     *slog.Logger
}

var _ objectstore.Store = (*Store)(nil)

// New returns a store of the files below the allowed directories, which must exist, and must not
// be two names of the same files. Without any, every path is objectstore.ErrRefused.
func New(allowed []string, log *slog.Logger) (*Store, error) {
	s := &Store{log: log}
	var places []place
	for _, dir := range allowed {
		p, err := newPlace(dir)
		if err != nil {
			return nil, err
		}
		places = append(places, p)
		s.allowed = append(s.allowed, p.name)
	}
	if err := checkAliases(places); err != nil {
		return nil, err
	}
	return s, nil
}

// Check returns objectstore.ErrRefused if the key can be neither an object of the store nor a
// directory in it. The key need not exist.
func (s *Store) Check(key string) error {
	dir, name := split(key)
	d, err := s.open(dir)
	if err != nil && name != "" {
		d, err = s.open(key + "/")
	}
	if err != nil {
		return err
	}
	return d.root.Close()
}

// List implements objectstore.Store. A file that is gone by the time it is read is left out.
func (s *Store) List(ctx context.Context, prefix, after string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		w := &walk{after: after, yield: yield}
		err := s.list(ctx, w, prefix)
		if w.skipped > 0 {
			s.log.DebugContext(ctx, "listing left out links and special files", "count", w.skipped)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, fmt.Errorf("list local:///%s: %w", prefix, err))
		}
	}
}

func (s *Store) list(ctx context.Context, w *walk, prefix string) error {
	dir, name := split(prefix)
	d, err := s.openExisting(dir)
	if err != nil {
		return err
	}
	defer d.root.Close() //nolint:errcheck // only read from
	if err := w.dir(ctx, d.root, dir, name); err != nil {
		return err
	}
	return w.flush()
}

// Stat implements objectstore.Store. It reads the whole file.
func (s *Store) Stat(ctx context.Context, key string) (objectstore.Object, error) {
	dir, name := split(key)
	d, err := s.openExisting(dir)
	if err != nil {
		return objectstore.Object{}, fmt.Errorf("stat local:///%s: %w", key, err)
	}
	defer d.root.Close() //nolint:errcheck // only read from
	o, ok, err := describe(ctx, d.root, key, name)
	if err == nil && !ok {
		err = objectstore.ErrNotFound
	}
	if err != nil {
		return objectstore.Object{}, fmt.Errorf("stat local:///%s: %w", key, err)
	}
	return o, nil
}

// Get implements objectstore.Store.
func (s *Store) Get(ctx context.Context, key string, limit int64) (body []byte, err error) {
	err = s.read(ctx, key, func(f *os.File, size int64) error {
		if size > limit {
			return objectstore.TooLarge(size, limit)
		}
		body, err = readPart(f, size)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("get local:///%s: %w", key, err)
	}
	return body, nil
}

// GetRange implements objectstore.Store.
func (s *Store) GetRange(ctx context.Context, key string, offset, n int64) (part []byte, size int64, err error) {
	err = s.read(ctx, key, func(f *os.File, all int64) error {
		if offset > 0 && offset >= all {
			return fmt.Errorf("%w: the file has %d bytes", objectstore.ErrRefused, all)
		}
		size = all
		part, err = readPart(io.NewSectionReader(f, offset, n), min(n, all-offset))
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("get %d bytes at %d of local:///%s: %w", n, offset, key, err)
	}
	return part, size, nil
}

// readPart reads n bytes. It fails if the file has become shorter.
func readPart(r io.Reader, n int64) ([]byte, error) {
	part := make([]byte, n)
	if _, err := io.ReadFull(r, part); err != nil && n > 0 {
		return nil, fmt.Errorf("read %d bytes: %w", n, err)
	}
	return part, nil
}

// read calls f with the open file of a key and its size in bytes.
func (s *Store) read(ctx context.Context, key string, f func(*os.File, int64) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, name := split(key)
	d, err := s.openExisting(dir)
	if err != nil {
		return err
	}
	defer d.root.Close() //nolint:errcheck // only read from
	file, info, ok, err := openRegular(d.root, name)
	if err != nil {
		return err
	}
	if !ok {
		return objectstore.ErrNotFound
	}
	defer file.Close()
	return f(file, info.Size())
}

// Only the owner and group of files and directories have access, since metadata shows what a
// store holds. The umask may take more away.
const (
	fileMode      = 0o640
	directoryMode = 0o750
)

// tempPrefix begins the names of files that are being written. They are no
// objects: a crash may leave one behind, and it must not be imported.
const tempPrefix = ".rangefleet-tmp-"

// Put implements objectstore.Store: the file appears under its name once its
// content is on disk. Missing directories are made.
func (s *Store) Put(ctx context.Context, key string, body []byte, _ objectstore.Sum) error {
	if err := s.put(ctx, key, body); err != nil {
		return fmt.Errorf("put local:///%s: %w", key, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, name := split(key)
	if name == "" || name == "." || name == ".." || strings.HasPrefix(name, tempPrefix) {
		return fmt.Errorf("%q cannot be the name of an object: %w", name, objectstore.ErrRefused)
	}
	d, err := s.open(dir)
	if err != nil {
		return err
	}
	d, err = d.make()
	if err != nil {
		return err
	}
	defer d.root.Close() //nolint:errcheck // what was written is synced
	temp := tempPrefix + rand.Text()
	if err = writeSynced(d.root, temp, body); err == nil {
		err = d.root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(classify(d.root, err), ignoreMissing(d.root.Remove(temp)))
	}
	return syncDir(d.root)
}

func writeSynced(root *os.Root, name string, body []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	if _, err = f.Write(body); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(root *os.Root) error {
	f, err := root.Open(".")
	if err != nil {
		return classify(root, err)
	}
	return errors.Join(f.Sync(), f.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// within returns the whole path of a name in root.
func within(root *os.Root, name string) string {
	if root == nil || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(root.Name(), name)
}

// whole returns an error of a call to root with whole paths in it.
func whole(root *os.Root, err error) error {
	switch e := err.(type) { //nolint:errorlint // what is wrapped further in was named there
	case *fs.PathError:
		return &fs.PathError{Op: e.Op, Path: within(root, e.Path), Err: e.Err}
	case *os.LinkError:
		return &os.LinkError{Op: e.Op, Old: within(root, e.Old), New: within(root, e.New), Err: e.Err}
	}
	return err
}

// classify wraps an error of a call to root, or of the os if that is nil, in
// objectstore's error of the same meaning, if there is one. It names whole paths.
func classify(root *os.Root, err error) error {
	err = whole(root, err)
	for _, missing := range []error{fs.ErrNotExist, syscall.ENOTDIR} {
		if errors.Is(err, missing) {
			return fmt.Errorf("%w: %w", objectstore.ErrNotFound, err)
		}
	}
	for _, refused := range []error{
		fs.ErrPermission, fs.ErrExist, syscall.EINVAL,
		syscall.EISDIR, syscall.ENAMETOOLONG, syscall.EROFS, syscall.ELOOP, syscall.ENOTEMPTY,
	} {
		if errors.Is(err, refused) {
			return fmt.Errorf("%w: %w", objectstore.ErrRefused, err)
		}
	}
	return err
}
