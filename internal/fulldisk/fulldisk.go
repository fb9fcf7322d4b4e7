//go:build unix

// Package fulldisk makes the writes of a test fail as on a full disk.
package fulldisk

import (
	"os/signal"
	"sync"
	"syscall"
	"testing"
)

// Size is the size of the largest file that can be written, in bytes. A test's own files
// must be smaller.
const Size = 1 << 20

// Begin makes every write of this process fail that would make a file larger than Size, until
// end is called or the test ends. No other test may run at the same time.
func Begin(t testing.TB) (end func()) {
	t.Helper()
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
