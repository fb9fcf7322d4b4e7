package s3test

import (
	"context"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/rangefleet/rangefleet/internal/installed"
)

// goProgram returns the path of the program of package pkg at a version of its module. The first
// call builds it, which takes minutes for a large program. Later calls, of any test, find it in
// the user's cache.
func goProgram(ctx context.Context, pkg, version string) (string, error) {
	name := path.Base(pkg)
	dir, err := installed.Dir(name+"@"+version, func(dir string) error {
		install := exec.CommandContext(ctx, "go", "install", pkg+"@"+version) //nolint:gosec // named here
		install.Env = append(os.Environ(), "GOBIN="+dir)
		return installed.Run(install)
	})
	return filepath.Join(dir, name), err
}

// pythonWith returns the path of a Python interpreter with the required packages of PyPI, each
// given as name==version. It is kept under name in the user's cache.
func pythonWith(ctx context.Context, name string, required ...string) (string, error) {
	interpreter := filepath.Join("bin", "python3")
	dir, err := installed.Dir(name, func(dir string) error {
		if err := installed.Run(exec.CommandContext(ctx, "python3", "-m", "venv", dir)); err != nil { //nolint:gosec // a new directory
			return err
		}
		args := append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, required...)
		return installed.Run(exec.CommandContext(ctx, filepath.Join(dir, interpreter), args...)) //nolint:gosec // made here
	})
	return filepath.Join(dir, interpreter), err
}
