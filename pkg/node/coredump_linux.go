package node

import (
	"errors"
	"fmt"
	"syscall"
)

// forbidCoreDumps keeps the memory of the process, which holds secrets, from being written to a
// file when it crashes, and from being read by other processes of its user.
func forbidCoreDumps() error {
	limit := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	var dumpable error
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); errno != 0 { // a core may also go to a program, which no limit keeps from it
		dumpable = errno
	}
	if err := errors.Join(limit, dumpable); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}
