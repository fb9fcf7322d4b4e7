package s3test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// goProgram returns the path of the program that the package pkg is at a version
// of its module. The first call builds it, which takes minutes for a large
// program; later calls, of any test, find it in the user's cache.
func goProgram(ctx context.Context, pkg, version string) (string, error) {
	name := path.Base(pkg)
	dir, err := installed(name+"@"+version, func(dir string) error {
		install := exec.CommandContext(ctx, "go", "install", pkg+"@"+version) //nolint:gosec // named here
		install.Env = append(os.Environ(), "GOBIN="+dir)
		return run(install)
	})
	return filepath.Join(dir, name), err
}

// pythonWith returns the path of a Python interpreter that has the packages of PyPI
// that are required, each as name==version. It is kept under that name as a
// goProgram is.
func pythonWith(ctx context.Context, name string, required ...string) (string, error) {
	interpreter := filepath.Join("bin", "python3")
	dir, err := installed(name, func(dir string) error {
		if err := run(exec.CommandContext(ctx, "python3", "-m", "venv", dir)); err != nil { //nolint:gosec // a new directory
			return err
		}
		args := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, required...)
		return run(exec.CommandContext(ctx, filepath.Join(dir, interpreter), args...)) //nolint:gosec // made here
	})
	return filepath.Join(dir, interpreter), err
}

// installed returns the directory of that name in the user's cache. If it is not
// there, install fills an empty one. The directory has its name only once it is
// whole, so that several processes may install the same at once.
func installed(name string, install func(dir string) error) (dir string, err error) {
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

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
