// Package installed keeps the programs that tests run against, but do not build each time, in
// the user's cache directory.
package installed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Dir returns the directory of that name in the user's cache. If it is not there, install
// fills an empty one; the name says which version is installed. The directory has its name
// only once it is whole, so that several processes may install the same at once.
func Dir(name string, install func(dir string) error) (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	parent := filepath.Join(cache, "rangefleet-tests")
	dir = filepath.Join(parent, name)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return dir, err
	}
	if err := os.MkdirAll(parent, 0o750); err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	unfinished, err := os.MkdirTemp(parent, name+".unfinished-")
	if err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(unfinished)) }() // nothing, if it has its name
	if err := install(unfinished); err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	if err := os.Rename(unfinished, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	return dir, nil
}

// Run runs a command. Its error says what the command printed.
func Run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
