//go:build unix

package fulldisk_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/fulldisk"
)

// Files are bounded until the end, in a process that has no log of go test to write.
func TestWritesFailUntilTheEnd(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	if log := flag.Lookup("test.testlogfile").Value.String(); log != "" {
		t.Errorf("the process writes the log %s", log)
	}
	file := filepath.Join(t.TempDir(), "file")
	end := fulldisk.Begin(t)
	if err := os.WriteFile(file, make([]byte, fulldisk.Size+1), 0o600); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("a file that is too large: %v", err)
	}
	end()
	expect.NoError(t, os.WriteFile(file, make([]byte, fulldisk.Size+1), 0o600))
}
