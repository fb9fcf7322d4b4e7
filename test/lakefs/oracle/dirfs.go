package oracle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/treeverse/lakefs/pkg/pyramid"
)

// dirFS stores lakeFS's tables in a directory.
type dirFS string

var _ pyramid.FS = dirFS("")

func (d dirFS) path(name string) string { return filepath.Join(string(d), name) }

func (d dirFS) Create(context.Context, string, string) (pyramid.StoredFile, error) {
	f, err := os.CreateTemp(string(d), "new-")
	if err != nil {
		return nil, err
	}
	return stored{f, f.Name(), d}, nil
}

func (d dirFS) Open(_ context.Context, _, _, name string) (pyramid.File, error) {
	return os.Open(d.path(name))
}

func (d dirFS) Exists(_ context.Context, _, _, name string) (bool, error) {
	_, err := os.Stat(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (d dirFS) GetRemoteURI(_ context.Context, name string) (string, error) { return d.path(name), nil }

func (d dirFS) Close() error { return nil }

// stored is a file that gets its name when it is stored.
type stored struct {
	pyramid.File
	path string
	dir  dirFS
}

func (s stored) Store(_ context.Context, name string) error {
	_ = s.Close() // the table's writer has usually closed it already
	return os.Rename(s.path, s.dir.path(name))
}

func (s stored) Abort(context.Context) error {
	_ = s.Close()
	if err := os.Remove(s.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
