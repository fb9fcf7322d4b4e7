// Package transcript provides a buffer that can be read while others write to it, for tests.
package transcript

import (
	"bytes"
	"sync"
)

// Buffer stores everything that is written to it. The zero value is empty. Methods may be
// called concurrently.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what has been written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
