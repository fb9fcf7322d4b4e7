package localstore_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore/localstore"
)

// Mounts of a directory elsewhere are aliases, too.
func TestMountsAreAliases(t *testing.T) {
	top := t.TempDir()
	data, sub, mounted := filepath.Join(top, "data"), filepath.Join(top, "data/sub"), filepath.Join(top, "mounted")
	for _, dir := range []string{sub, mounted} {
		expect.NoError(t, os.MkdirAll(dir, 0o750))
	}
	mount := func(dir string) {
		t.Helper()
		err := syscall.Mount(dir, mounted, "", syscall.MS_BIND, "")
		if errors.Is(err, syscall.EPERM) {
			t.Skip("mounts are not permitted")
		}
		expect.NoError(t, err)
	}
	for _, c := range []struct {
		mounted string
		allowed []string
		refused bool
	}{
		{data, []string{data, mounted}, true},
		{data, []string{mounted, sub}, true},
		{sub, []string{mounted, sub}, true},
		{sub, []string{data, sub}, false},
		{data, []string{mounted}, false},
		{data, []string{mounted, filepath.Join(mounted, "sub")}, false},
	} {
		mount(c.mounted)
		if _, err := localstore.New(c.allowed, slog.New(slog.DiscardHandler)); (err != nil) != c.refused {
			t.Errorf("%s at %s, %q: %v, want that it is refused: %t", c.mounted, mounted, c.allowed, err, c.refused)
		}
		expect.NoError(t, syscall.Unmount(mounted, 0))
	}
}
