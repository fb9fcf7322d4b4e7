package node

import (
	"runtime/debug"
	"testing"
)

func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1) // only reads
	defer debug.SetMemoryLimit(before)
	t.Setenv("GOMEMLIMIT", "1GiB")
	limitMemory(memoryWorker, 2)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("the limit was changed to %d although GOMEMLIMIT is set", got)
	}
	t.Setenv("GOMEMLIMIT", "")
	limitMemory(memoryWorker, 2)
	if got := debug.SetMemoryLimit(-1); got != memoryWorker+2*memorySlot {
		t.Errorf("the limit is %d, want %d", got, memoryWorker+2*memorySlot)
	}
}
