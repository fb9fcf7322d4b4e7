package localstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// split cuts a key or prefix after its last '/': the directory, as a key that
// is empty or ends in '/', and the name or the beginning of names in it.
func split(key string) (dir, name string) {
	i := strings.LastIndexByte(key, '/') + 1
	return key[:i], key[i:]
}

// directory is an allowed place: the deepest directory on its path that exists,
// and the names below it that do not.
type directory struct {
	root    *os.Root
	missing []string
}

// open opens a directory, given as a key, from the allowed directory that holds it, one name
// at a time and through no symbolic link.
func (s *Store) open(dir string) (directory, error) {
	names, err := pathOf(dir)
	if err != nil {
		return directory{}, err
	}
	base, names, ok := s.base(names)
	if !ok {
		return directory{}, fmt.Errorf("/%s lies in none of the directories that local.allowed names: %w", dir, objectstore.ErrRefused)
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return directory{}, classify(nil, err)
	}
	for i, name := range names {
		next, err := enter(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			return directory{root: root, missing: names[i:]}, nil
		}
		_ = root.Close()
		if err != nil {
			return directory{}, err
		}
		root = next
	}
	return directory{root: root}, nil
}

// openExisting is open for a directory that is to be read.
func (s *Store) openExisting(dir string) (directory, error) {
	d, err := s.open(dir)
	if err == nil && len(d.missing) > 0 {
		_ = d.root.Close()
		return directory{}, fmt.Errorf("directory /%s: %w", dir, objectstore.ErrNotFound)
	}
	return d, err
}

// pathOf returns the names on the path of a directory.
func pathOf(dir string) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	names := strings.Split(strings.TrimSuffix(dir, "/"), "/")
	for _, name := range names {
		if name == "" || name == "." || name == ".." {
			return nil, fmt.Errorf("/%s has the path element %q: %w", dir, name, objectstore.ErrRefused)
		}
	}
	return names, nil
}

// base returns the longest allowed directory that the path lies in, and the
// names from there.
func (s *Store) base(names []string) (base string, rest []string, ok bool) {
	for i := len(names); i >= 0; i-- {
		base = "/" + filepath.Join(names[:i]...)
		for _, allowed := range s.allowed {
			if base == allowed {
				return base, names[i:], true
			}
		}
	}
	return "", nil, false
}

// enter opens the directory name in root; it must not be a symbolic link.
func enter(root *os.Root, name string) (*os.Root, error) {
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, classify(root, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, fmt.Errorf("%q is a symbolic link: name the directory itself: %w", within(root, name), objectstore.ErrRefused)
	case !info.IsDir():
		return nil, fmt.Errorf("%q is not a directory: %w", within(root, name), objectstore.ErrNotFound)
	}
	next, err := root.OpenRoot(name)
	if err != nil {
		return nil, classify(root, err)
	}
	return next, nil
}

// make creates the missing directories, durably, and opens the last one. It takes over d.
func (d directory) make() (directory, error) {
	for _, name := range d.missing {
		err := d.root.Mkdir(name, directoryMode)
		if errors.Is(err, fs.ErrExist) { // another Put was faster
			err = nil
		}
		if err = classify(d.root, err); err == nil {
			err = syncDir(d.root)
		}
		var next *os.Root
		if err == nil {
			next, err = enter(d.root, name)
		}
		_ = d.root.Close()
		if err != nil {
			return directory{}, err
		}
		d.root = next
	}
	return directory{root: d.root}, nil
}
