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

// GoTrees returns directories with more than 20,000 files that exist on every machine that
// builds Go programs: the Go distribution, and the modules that were downloaded to build
// this program.
func GoTrees(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("ask the go command for directories to import (name a directory to avoid that): %w", err)
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(dir string) bool {
		info, err := os.Stat(dir)
		return err != nil || !info.IsDir() // there is no cache if modules are vendored
	}), nil
}

// Size returns how many regular files a listing of trees will find, and their size in bytes.
// What cannot be read is not counted.
func Size(ctx context.Context, dirs []string) (files, bytes int64, err error) {
	for _, dir := range dirs {
		err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return errInterrupted
			}
			if err != nil || !e.Type().IsRegular() {
				return nil //nolint:nilerr // the import reports what it cannot read
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
