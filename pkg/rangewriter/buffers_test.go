package rangewriter

import (
	"context"
	"errors"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// begun is a file that has begun.
type begun struct {
	buf []byte
	memory
}

// tryBegin begins a file, if it need not wait, of a writer with or without others.
func tryBegin(b *Buffers, alone bool) (f begun, ok bool) {
	buf, m, freed := b.tryBegin(func() bool { return alone })
	return begun{buf, m}, freed == nil
}

// fill begins files, of writers that have others, until one would have to wait.
func fill(b *Buffers) (files []begun) {
	for f, ok := tryBegin(b, false); ok; f, ok = tryBegin(b, false) {
		files = append(files, f)
	}
	return files
}

// Files begin up to the limit, and one for each writer beyond it.
func TestBuffersKeepToTheLimit(t *testing.T) {
	b := &Buffers{Limit: 4 * firstBuffer}
	files := fill(b)
	if len(files) != 4 {
		t.Fatalf("%d files begin, want 4", len(files))
	}
	only, ok := tryBegin(b, true)
	if !ok {
		t.Fatal("a writer without a file waits")
	}
	b.end(files[0].buf, files[0].memory)
	if more := fill(b); len(more) != 0 {
		t.Errorf("%d files begin while as much as the limit is used", len(more))
	}
	b.end(only.buf, only.memory)
	if more := fill(b); len(more) != 1 {
		t.Errorf("%d files begin once there is memory for one", len(more))
	}
}

// An open file grows without waiting. What it uses keeps others from beginning.
func TestOpenFilesGrow(t *testing.T) {
	b := &Buffers{Limit: 4 * firstBuffer}
	f, _ := tryBegin(b, false)
	larger, m := b.grow(3*firstBuffer, f.memory)
	b.end(f.buf, 0)
	if cap(larger) != 3*firstBuffer || b.Used() != 3*firstBuffer {
		t.Errorf("a buffer of %d bytes, %d are used", cap(larger), b.Used())
	}
	if others := fill(b); len(others) != 1 {
		t.Errorf("%d files begin beside it, want 1", len(others))
	}
	b.end(larger, m)
	if again, m := b.grow(3*firstBuffer, 0); b.Used() != firstBuffer+int64(m) || cap(again) != 3*firstBuffer {
		t.Errorf("%d bytes are used, want the other file and %d", b.Used(), m)
	}
}

// Free buffers are used again, and dropped where files need the memory.
func TestFreeBuffers(t *testing.T) {
	b := &Buffers{Limit: 4 * firstBuffer}
	f, _ := tryBegin(b, false)
	first := &f.buf[:1][0]
	b.end(f.buf, f.memory)
	if f, _ = tryBegin(b, false); &f.buf[:1][0] != first {
		t.Error("a free buffer was not used again")
	}
	b.end(f.buf, f.memory)
	if b.kept != firstBuffer {
		t.Errorf("%d bytes are kept", b.kept)
	}
	b.Hold(b.Limit)
	if b.kept != 0 || len(b.free) != 0 {
		t.Errorf("%d bytes are kept beyond the limit", b.kept)
	}
}

// Memory that others hold counts, and a writer that waits begins once it is released, or
// ends with its context.
func TestWaitForMemory(t *testing.T) {
	b := &Buffers{Limit: firstBuffer}
	b.Hold(firstBuffer)
	never := func() bool { return false }
	ctx, cancel := context.WithCancel(t.Context())
	ended, began := make(chan error, 1), make(chan error, 1)
	go func() { _, _, err := b.begin(ctx, never); ended <- err }()
	cancel()
	if err := expect.Received(t, "the end of a wait", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was canceled: %v", err)
	}
	go func() { _, _, err := b.begin(t.Context(), never); began <- err }()
	b.Hold(-firstBuffer)
	expect.NoError(t, expect.Received(t, "the start of a file", began))
}
