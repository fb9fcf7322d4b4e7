package localstore

import (
	"fmt"
	"os"
	"path/filepath"
)

// place is an allowed directory.
type place struct {
	name string // absolute, clean, as it was given
	real string // the same without symbolic links
	info os.FileInfo
}

// newPlace looks at a directory, which must exist.
func newPlace(dir string) (p place, err error) {
	if p.name, err = filepath.Abs(dir); err == nil {
		p.real, err = filepath.EvalSymlinks(p.name)
	}
	if err == nil {
		p.info, err = os.Stat(p.real)
	}
	if err != nil {
		return place{}, fmt.Errorf("allowed directory %q: %w", dir, err)
	}
	if !p.info.IsDir() {
		return place{}, fmt.Errorf("allowed directory %q is not a directory", dir)
	}
	return p, nil
}

// checkAliases refuses places if a file of one can also be reached in another one, by another name:
// the file would have two keys, and what is compared by keys, such as sources with storage
// namespaces, would be taken for different. A mount of a part of one place elsewhere is not found
// unless the mount, or what lies in it, is a place, too.
func checkAliases(all []place) error {
	for _, outer := range all {
		for _, inner := range all {
			name, ok, err := inner.within(outer)
			if err != nil {
				return err
			}
			if ok && name != inner.name {
				return fmt.Errorf("the allowed directories %q and %q have the same files, by links or mounts: %q is also %q; allow one of them",
					outer.name, inner.name, inner.name, name)
			}
		}
	}
	return nil
}

// within returns the name by which p is reached in outer; ok is false if it does not lie in it.
func (p place) within(outer place) (name string, ok bool, err error) {
	for dir, rest := p.real, ""; ; dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		info, err := os.Stat(dir)
		if err != nil {
			return "", false, fmt.Errorf("allowed directory %q: %w", p.name, err)
		}
		if os.SameFile(info, outer.info) {
			return filepath.Join(outer.name, rest), true, nil
		}
		if dir == filepath.Dir(dir) {
			return "", false, nil
		}
	}
}
