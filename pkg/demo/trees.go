package demo

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// GoTrees returns directories that every machine that builds Go programs has,
// and that together hold more than 20,000 files: the Go distribution, and the
// modules that were downloaded to build this program.
func GoTrees(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("ask the go command for directories to import (name one to do without): %w", err)
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(dir string) bool {
		info, err := os.Stat(dir)
		return err != nil || !info.IsDir() // a program with vendored modules needs no cache
	}), nil
}

// Size is what a listing of trees will find, unless they change: regular files,
// and how many bytes they have. What cannot be read is not counted.
func Size(ctx context.Context, dirs []string) (files, bytes int64, err error) {
	for _, dir := range dirs {
		err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ErrInterrupted
			}
			if err != nil || !e.Type().IsRegular() {
				return nil //nolint:nilerr // the import will say what it cannot read
			}
			if info, err := e.Info(); err == nil {
				files, bytes = files+1, bytes+info.Size()
			}
			return nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return files, bytes, nil
}
