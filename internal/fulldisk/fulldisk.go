//go:build unix

// Package fulldisk makes the writes of a test fail as on a full disk.
package fulldisk

import (
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"sync"
	"syscall"
	"testing"
)

// Size is the size of the largest file that can be written, in bytes. A test's own files
// must be smaller.
const Size = 1 << 20

// alone is set in the environment of a process that runs one test.
const alone = "RANGEFLEET_FULL_DISK_TEST"

// Alone runs the calling test, which must not be a subtest, in a process of its own, where it
// returns true. In the process of all tests it returns false once that one has ended, and fails
// the test if it failed. The limit of Begin holds for a whole process: elsewhere it would hit
// other files, such as the log that go test has every process write.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(alone) == t.Name() {
		return true
	}
	// No flags are passed on: they name files that this process writes.
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v") //nolint:gosec // this program itself
	cmd.Env = append(os.Environ(), alone+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if passed := regexp.MustCompile(`(?m)^--- PASS: ` + regexp.QuoteMeta(t.Name()) + ` `); err != nil || !passed.Match(out) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}

// Begin makes every write of this process fail that would make a file larger than Size, until
// end is called or the test ends. The process must be one of Alone.
func Begin(t testing.TB) (end func()) {
	t.Helper()
	if os.Getenv(alone) != t.Name() {
		t.Fatal("the test does not run in a process of its own")
	}
	signal.Ignore(syscall.SIGXFSZ) // the signal would end the process
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: Size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(end)
	return end
}
