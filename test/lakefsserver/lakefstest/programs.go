package lakefstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rangefleet/rangefleet/internal/installed"
)

// Version is the version of lakeFS that the tests run. What they say of lakeFS is true of it.
const Version = "v1.83.0"

// lakeFS is its module. This module does not require it: its programs are built in a copy of it,
// and so with the versions and replacements of its own go.mod, which requirements of Rangefleet
// would change.
const lakeFS = "github.com/treeverse/lakefs"

// Programs returns a directory that has the programs lakefs, with its web UI, lakectl and
// esti.test, which are lakeFS's own system tests, and esti, the directory that those are run in.
// The first call builds them, which takes minutes and needs npm; later calls, of any test, find
// them in the user's cache.
func Programs(ctx context.Context) (dir string, err error) {
	return installed.Dir("lakefs@"+Version+"+webui", func(dir string) (err error) {
		source := filepath.Join(dir, "source")
		defer func() { err = errors.Join(err, os.RemoveAll(source)) }()
		if err := copySource(ctx, source); err != nil {
			return err
		}
		if err := buildUI(ctx, filepath.Join(source, "webui")); err != nil {
			return err
		}
		// A program with a version takes itself for a released one, as users have it.
		flags := fmt.Sprintf("-ldflags=-s -w -X %s/pkg/version.Version=%s", lakeFS, Version[1:])
		for _, args := range [][]string{
			{"build", flags, "-o", dir, "./cmd/lakefs", "./cmd/lakectl"},
			{"test", flags, "-c", "-o", filepath.Join(dir, "esti.test"), "./esti"},
		} {
			build := exec.CommandContext(ctx, "go", args...) //nolint:gosec // named here
			build.Dir = source
			build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off")
			if err := installed.Run(build); err != nil {
				return err
			}
		}
		return os.CopyFS(filepath.Join(dir, "esti"), os.DirFS(filepath.Join(source, "esti")))
	})
}

// What builds the web UI: Debian's packages of them are too old.
const (
	node = "node@22"
	npm  = "npm@11"
)

// buildUI builds lakeFS's web UI in its directory, from which the server embeds it. A module has
// only its sources.
func buildUI(ctx context.Context, dir string) error {
	build := exec.CommandContext(ctx, "npx", "--yes", "--package="+node, "--package="+npm, "--",
		"sh", "-c", "npm ci --ignore-scripts --no-audit --no-fund && npm run build")
	build.Dir = dir
	build.Env = append(os.Environ(), "VERSION="+Version)
	return installed.Run(build)
}

// Schema returns the file that describes lakeFS's API.
func Schema(ctx context.Context) (file string, err error) {
	source, err := download(ctx)
	return filepath.Join(source, "api", "swagger.yml"), err
}

// copySource copies lakeFS's module to a directory.
func copySource(ctx context.Context, dir string) error {
	source, err := download(ctx)
	if err != nil {
		return err
	}
	return os.CopyFS(dir, os.DirFS(source))
}

// download returns the directory of lakeFS's module.
func download(ctx context.Context) (dir string, err error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", lakeFS+"@"+Version)
	cmd.Dir = os.TempDir() // in no module, whose requirements could matter
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	return module.Dir, nil
}
