//go:build unix

// Package fulldisk has writes of a test fail as they do on a full disk.
package fulldisk

import (
	"os/signal"
	"sync"
	"syscall"
	"testing"
)

// Size is that of the largest file of the disk, in bytes. The files of the test
// itself are smaller.
const Size = 1 << 20

// Begin has every write of this process fail that makes a file larger than Size,
// until the function that it returns is called, or the test ends. No other test may
// run meanwhile.
func Begin(t testing.TB) (end func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // which would end the process
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
