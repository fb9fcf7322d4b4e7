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

// tryBegin begins a file if it need not wait.
func tryBegin(b *Buffers) (f begun, ok bool) {
	buf, m, freed := b.tryBegin()
	return begun{buf, m}, freed == nil
}

// fill begins files until one would have to wait.
func fill(b *Buffers) (files []begun) {
	for f, ok := tryBegin(b); ok; f, ok = tryBegin(b) {
		files = append(files, f)
	}
	return files
}

// Files begin up to the limit, and one beyond it.
func TestBuffersKeepToTheLimit(t *testing.T) {
	b := &Buffers{Limit: 4 * firstBuffer}
	files := fill(b)
	if len(files) != 5 || !files[4].exempt {
		t.Fatalf("%d files, the last one is exempt: %t; want 4 and one that is", len(files), files[len(files)-1].exempt)
	}
	b.end(files[0].buf, files[0].memory)
	if more := fill(b); len(more) != 0 {
		t.Errorf("%d files begin while as much as the limit is used", len(more))
	}
	b.end(files[4].buf, files[4].memory)
	if more := fill(b); len(more) != 2 || !more[1].exempt {
		t.Errorf("%d files begin once the exempt one is stored, too; want 1 and one that is exempt", len(more))
	}
}

// An open file grows without waiting. What it uses keeps others from beginning.
func TestOpenFilesGrow(t *testing.T) {
	b := &Buffers{Limit: 4 * firstBuffer}
	f, _ := tryBegin(b)
	larger, m := b.grow(3*firstBuffer, f.memory)
	b.recycle(f.buf)
	if cap(larger) != 3*firstBuffer || b.used != 3*firstBuffer {
		t.Errorf("a buffer of %d bytes, %d are used", cap(larger), b.used)
	}
	if others := fill(b); len(others) != 2 {
		t.Errorf("%d files begin beside it, want 1 and the exempt one", len(others))
	}
	b.end(larger, m)
	if again, m := b.grow(3*firstBuffer, memory{}); b.used != 2*firstBuffer+m.size || cap(again) != 3*firstBuffer {
		t.Errorf("%d bytes are used, want the two files and %d", b.used, m.size)
	}
}

// Free buffers are used again, and dropped where files need the memory.
func TestFreeBuffers(t *testing.T) {
	b := &Buffers{Limit: 4 * firstBuffer}
	f, _ := tryBegin(b)
	first := &f.buf[:1][0]
	b.end(f.buf, f.memory)
	if f, _ = tryBegin(b); &f.buf[:1][0] != first {
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
	f, _ := tryBegin(b)
	ctx, cancel := context.WithCancel(t.Context())
	ended, began := make(chan error, 1), make(chan error, 1)
	go func() { _, _, err := b.begin(ctx); ended <- err }()
	cancel()
	if err := expect.Received(t, "the end of a wait", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was canceled: %v", err)
	}
	go func() { _, _, err := b.begin(t.Context()); began <- err }()
	b.Hold(-firstBuffer)
	b.end(f.buf, f.memory)
	expect.NoError(t, expect.Received(t, "the start of a file", began))
}
