// Package rangewriter writes batches of entries into range files and stores them: the
// hot path of an import.
//
// Entries go into one open table. Where partition.Breaks ends the range, the file is
// uploaded in the background and the next table begins. So what a range holds depends
// on the keys alone, never on how they are split into batches.
package rangewriter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

var errClosed = errors.New("range writer is closed")

// Files stores range files.
type Files interface {
	// Put stores data, whose SHA-256 is sum, under a content ID. It returns once
	// data is safely stored or, soon after ctx ends, with an error. It must not keep
	// data. It is called concurrently.
	Put(ctx context.Context, id string, data []byte, sum objectstore.Sum) error
}

// Options say how a Writer works, not what it writes.
type Options struct {
	// Uploads is how many closed ranges may be in flight: being stored, or waiting
	// for their turn to be reported. Values below 1 mean 1. Write waits while so
	// many are. A writer holds at most Uploads+1 range files in memory.
	Uploads int

	// Stored, if not nil, is called with each range once it is safely stored, in
	// key order, by one goroutine at a time. It must not call the writer. An error
	// stops the writer.
	Stored func(partition.RangeMetadata) error

	// Buffers, if not nil, provides the memory for files, and takes it back.
	Buffers *Buffers
}

// Writer writes ranges. Its methods are for one goroutine. It stops when its context
// ends, and at the first error: its own, of an upload, or of Stored. Every call then
// returns that error at once, and nothing more is stored or reported.
type Writer struct {
	ctx    context.Context // of the uploads; its cause says what stopped the writer
	stop   context.CancelCauseFunc
	breaks partition.Breaks
	table  *table.Writer
	full   int    // about how many bytes the largest file takes
	memory memory // of the open file
	last   []byte // the last key written
	queue  *queue
	free   *Buffers

	// Scratch, of the entries that are prepared together:
	anchors    []bool           // which keys are anchors
	identities []table.Identity // their hashes
}

// prepared is how many entries are hashed together before they are appended. Those
// after the end of a range are hashed again when the next one begins: of a range of
// 50,000 entries about one in a thousand.
const prepared = 128

// New returns a writer without an open range. Uploads run under ctx. The caller
// must Close the writer.
func New(ctx context.Context, files Files, breaks partition.Breaks, opts Options) *Writer {
	ctx, stop := context.WithCancelCause(ctx)
	if opts.Buffers == nil {
		opts.Buffers = new(Buffers)
	}
	return &Writer{
		ctx:    ctx,
		stop:   stop,
		breaks: breaks,
		table:  table.NewWriter(table.Ranges),
		full:   int(min(breaks.MaxSize, partition.DefaultBreaks.MaxSize) * 17 / 16), // with what is written after the last estimate
		queue:  newQueue(ctx, stop, files, opts),
		free:   opts.Buffers,
	}
}

// Write appends the entries of b. Keys must be greater than all before, not
// empty and, like all text, valid UTF-8; else the error names them and wraps
// objectstore.ErrBadListing. Write does not keep b.
func (w *Writer) Write(b entry.Batch) error {
	for from := 0; from < b.Len(); {
		rest := b.Slice(from, b.Len())
		n, _, err := w.WriteRange(w.ctx, rest)
		rest.Release()
		if err != nil {
			return err
		}
		from += n
	}
	return w.err()
}

// WriteRange is Write up to the end of a range. It returns how many entries of b it
// appended, and whether a range ended after the last of them: the writer is then
// at a range boundary. If none ended, it appended all of b. No range begins after ctx
// has ended, even if it ends while the writer waits for memory: WriteRange then appends
// nothing and returns the cause. This error does not stop the writer.
func (w *Writer) WriteRange(ctx context.Context, b entry.Batch) (n int, ended bool, err error) {
	if err := w.err(); err != nil {
		return 0, false, err
	}
	for n < b.Len() && !ended {
		if err := w.makeRoom(ctx); err != nil {
			return n, false, err
		}
		part := b.Slice(n, min(n+prepared, b.Len()))
		var added int
		added, ended, err = w.add(part)
		part.Release()
		n += added
		if err != nil {
			return n, false, w.fail(err)
		}
	}
	return n, ended, nil
}

// makeRoom gives a file that begins a buffer, and one that has filled its buffer a larger
// one. A file beyond the usual size is left to grow by itself.
func (w *Writer) makeRoom(ctx context.Context) error {
	if w.memory == 0 {
		buf, m, err := w.free.begin(ctx, w.queue.idle)
		if err != nil {
			return err
		}
		w.memory = m
		w.table.Reset(buf)
	}
	if size := int(w.memory); w.table.Room() < bufferRoom && size < w.full {
		var buf []byte
		buf, w.memory = w.free.grow(min(2*size, w.full), w.memory)
		w.free.end(w.table.Move(buf), 0)
	}
	return nil
}

// add appends the entries of b up to the end of a range.
func (w *Writer) add(b entry.Batch) (n int, ended bool, err error) {
	ascii, prev := b.ASCII(), w.last
	w.anchors = w.breaks.Anchors(w.anchors[:0], b.Len(), b.Key)
	w.identities = table.Identities(w.identities[:0], b)
	for n < b.Len() && !ended {
		key := b.Key(n)
		if err := check(b, n, prev, ascii); err != nil {
			return n, false, fmt.Errorf("%w: %w", objectstore.ErrBadListing, err)
		}
		if err := w.table.AddEntry(b, n, w.identities[n]); err != nil {
			return n, false, err
		}
		ended = w.breaks.Ends(w.anchors[n], w.table.EstimatedSize())
		n++
		prev = key
	}
	w.last = append(w.last[:0], prev...)
	if ended {
		err = w.endRange()
	}
	return n, ended, err
}

// AtBoundary reports whether no range is open: all entries written so far are in
// closed ranges.
func (w *Writer) AtBoundary() bool { return w.table.Len() == 0 }

// Flush closes the open range, if there is one, and waits like Wait.
func (w *Writer) Flush() error {
	if err := w.err(); err != nil {
		return err
	}
	if !w.AtBoundary() {
		if err := w.endRange(); err != nil {
			return w.fail(err)
		}
	}
	return w.Wait()
}

// Wait waits until all closed ranges are stored and reported. An open range
// stays open; Close drops it.
func (w *Writer) Wait() error {
	if err := w.err(); err != nil {
		return err
	}
	return w.queue.wait()
}

// Close stops the writer, drops an open range, cancels uploads in flight, and returns
// once nothing runs in the background any more. It may be called more than once.
func (w *Writer) Close() {
	w.stop(errClosed)
	w.queue.tasks.Wait()
	w.free.end(w.table.Abort(), w.memory)
	w.memory = 0
}

// err returns what stopped the writer, or nil.
func (w *Writer) err() error { return context.Cause(w.ctx) }

// fail stops the writer with err, unless it is stopped already, and returns the error that
// stopped it first.
func (w *Writer) fail(err error) error {
	w.stop(err)
	return w.err()
}

// check returns an error if no range may hold entry i of b after the key prev.
// The text of an ASCII batch need not be checked.
func check(b entry.Batch, i int, prev []byte, ascii bool) error {
	key := b.Key(i)
	switch {
	case len(key) == 0:
		return fmt.Errorf("object %q has an empty key after key %q", b.Address(i), prev)
	case bytes.Compare(key, prev) <= 0:
		return fmt.Errorf("key %q follows key %q: keys must increase", key, prev)
	case ascii:
		return nil
	case !utf8.Valid(key):
		return fmt.Errorf("key %q is not valid UTF-8", key)
	case !utf8.Valid(b.Address(i)):
		return fmt.Errorf("address %q of key %q is not valid UTF-8", b.Address(i), key)
	case !utf8.Valid(b.ETag(i)):
		return fmt.Errorf("ETag %q of key %q is not valid UTF-8", b.ETag(i), key)
	}
	return nil
}

// endRange closes the open range and hands it over to be stored.
func (w *Writer) endRange() error {
	done, m := w.table.Close(), w.memory
	w.table.Reset(nil)
	w.memory = 0
	return w.queue.put(done, m)
}
