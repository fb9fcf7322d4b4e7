package node

import (
	"runtime/debug"
	"testing"
)

func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1) // only reads
	defer debug.SetMemoryLimit(before)
	t.Setenv("GOMEMLIMIT", "1GiB")
	limitMemory(memoryWorker)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("the limit was changed to %d although GOMEMLIMIT is set", got)
	}
	t.Setenv("GOMEMLIMIT", "")
	limitMemory(memoryWorker)
	if got := debug.SetMemoryLimit(-1); got != memoryWorker {
		t.Errorf("the limit is %d, want %d", got, memoryWorker)
	}
}
