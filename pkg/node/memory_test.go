package node

import (
	"runtime"
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

// Garbage is not memory in use, and what is still referred to is.
func TestMemoryUsed(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const size, little = 64 << 20, 16 << 20
	runtime.GC()
	before := memoryUsed()
	held := make([]byte, size)
	runtime.GC()
	if more := memoryUsed() - before; more < size-little || more > size+little {
		t.Errorf("%v bytes more are in use, want %d", more, size)
	}
	runtime.KeepAlive(held)
	held = nil
	runtime.GC()
	for range 64 {
		held = make([]byte, size/64)
	}
	if more := memoryUsed() - before; more > little {
		t.Errorf("%v bytes more are in use after all were dropped", more)
	}
	runtime.KeepAlive(held)
}
