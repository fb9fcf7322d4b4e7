package installed_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/installed"
)

func TestInstallsOnce(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	broken := errors.New("broken")
	if _, err := installed.Dir("p@v1", func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a failed install gives %v", err)
	}
	installs := 0
	install := func(dir string) error {
		installs++
		return os.WriteFile(filepath.Join(dir, "p"), nil, 0o600)
	}
	for range 2 {
		dir, err := installed.Dir("p@v1", install)
		expect.NoError(t, err)
		if _, err := os.Stat(filepath.Join(dir, "p")); err != nil {
			t.Error(err)
		}
	}
	if installs != 1 {
		t.Errorf("installed %d times", installs)
	}
	left, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	expect.NoError(t, err)
	if len(left) != 1 {
		t.Errorf("the cache holds %q", left)
	}
}

func TestRunSaysWhatWasPrinted(t *testing.T) {
	expect.NoError(t, installed.Run(exec.CommandContext(t.Context(), "true")))
	if err := installed.Run(exec.CommandContext(t.Context(), "sh", "-c", "echo why; exit 3")); err == nil || !strings.Contains(err.Error(), "exit status 3\nwhy") {
		t.Errorf("the error is %v", err)
	}
}
