package rangewriter_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/golden"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// Ranges of both listings are those that a lakeFS server made, however the entries are
// batched.
func TestGoldenRanges(t *testing.T) {
	listings, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listings {
		t.Run(l.Name, func(t *testing.T) {
			rng := seeded.Rand(t)
			files := &memory{}
			ranges := write(t, files, l.Entries, l.Breaks, rng)
			for _, r := range ranges {
				if _, ok := l.Files[r.ID]; !ok {
					t.Errorf("made range %+v; lakeFS made none of that ID", r)
				}
			}
			if len(ranges) != len(l.Files)-1 { // all but the metarange
				t.Errorf("made %d ranges, lakeFS %d", len(ranges), len(l.Files)-1)
			}
			for id, data := range files.files {
				if !sameRecords(t, data, l.Files[id]) {
					t.Errorf("range %s differs from lakeFS's", id)
				}
			}
		})
	}
}

// Ranges depend on the entries alone: not on batches, uploads or where writing
// stopped and began again. They are those of the naive twin.
func TestRangesAreThoseOfTheTwin(t *testing.T) {
	rng := seeded.Rand(t)
	bySize, byAnchor := 0, 0
	for range 60 {
		entries := entrytest.Random(rng, rng.IntN(800))
		breaks := partition.Breaks{MaxSize: 1 + rng.Uint64N(20_000), Raggedness: 1 + rng.Uint64N(300)}
		want := naive(t, entries, breaks)
		for i, r := range want {
			if breaks.Anchor([]byte(r.MaxKey)) {
				byAnchor++
			} else if i < len(want)-1 {
				bySize++
			}
		}
		if got := write(t, &memory{}, entries, breaks, rng); !slices.Equal(got, want) {
			t.Fatalf("%d entries, %+v: got ranges\n%v\nwant\n%v", len(entries), breaks, got, want)
		}
		if got := writeInPieces(t, entries, breaks, rng); !slices.Equal(got, want) {
			t.Fatalf("%d entries, %+v, written in pieces: got ranges\n%v\nwant\n%v", len(entries), breaks, got, want)
		}
	}
	if bySize == 0 || byAnchor == 0 {
		t.Errorf("%d ranges ended by size, %d at anchors: the test needs both", bySize, byAnchor)
	}
}

// WriteRange returns at the end of each range.
func TestWriteRangeStopsAfterARange(t *testing.T) {
	entries := entrytest.Random(seeded.Rand(t), 500)
	breaks := partition.Breaks{MaxSize: 4_000, Raggedness: 50}
	want := naive(t, entries, breaks)
	var got []partition.RangeMetadata
	w := rangewriter.New(t.Context(), &memory{}, breaks, rangewriter.Options{Uploads: 3, Stored: collect(&got)})
	defer w.Close()
	if !w.AtBoundary() {
		t.Error("a new writer is not at a range boundary")
	}
	for _, r := range want[:3] {
		n, ended, err := w.WriteRange(t.Context(), entrytest.Batch(entries...))
		if err != nil || !ended || entries[n-1].Key != r.MaxKey {
			t.Fatalf("appended %d entries, a range ended: %v, error %v; want its end at key %q", n, ended, err, r.MaxKey)
		}
		if !w.AtBoundary() {
			t.Error("not at a range boundary after the end of a range")
		}
		entries = entries[n:]
	}
	expect.NoError(t, w.Wait())
	if !slices.Equal(got, want[:3]) {
		t.Errorf("stored %v, want %v", got, want[:3])
	}
	expect.NoError(t, w.Write(entrytest.Batch(entries[0])))
	alone := want[3].MaxKey == entries[0].Key // in its range
	if w.AtBoundary() != alone {
		t.Errorf("at a range boundary: %v, while the entry is alone in its range: %v", !alone, alone)
	}
	expect.NoError(t, w.Wait())
	if len(got) != 3 && !alone {
		t.Error("Wait closed the open range")
	}
}

func TestBadEntries(t *testing.T) {
	good := func(keys ...string) (all []entry.Entry) {
		for _, k := range keys {
			all = append(all, entry.Entry{Key: k, Address: "s3://b/" + k})
		}
		return all
	}
	tests := []struct {
		name    string
		batches [][]entry.Entry
		names   []string // in the error
	}{
		{"empty key", [][]entry.Entry{{{Key: "", Address: "s3://b/dir/"}}}, []string{"s3://b/dir/"}},
		{"empty key later", [][]entry.Entry{good("a", "")}, []string{`"a"`, "s3://b/"}},
		{"key not UTF-8", [][]entry.Entry{good("a", "b\xff")}, []string{`"b\xff"`}},
		{"address not UTF-8", [][]entry.Entry{{{Key: "a", Address: "s3://b/\xff"}}}, []string{`"a"`, `\xff`}},
		{"ETag not UTF-8", [][]entry.Entry{{{Key: "a", Address: "s3://b/a", ETag: "\xff"}}}, []string{`"a"`, `\xff`}},
		{"keys decrease in a batch", [][]entry.Entry{good("b", "a")}, []string{`"a"`, `"b"`}},
		{"key twice", [][]entry.Entry{good("b", "b")}, []string{`"b"`}},
		{"keys decrease across batches", [][]entry.Entry{good("a", "c"), good("b")}, []string{`"b"`, `"c"`}},
		{"key twice across batches", [][]entry.Entry{good("a", "c"), {}, good("c")}, []string{`"c"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, breaks := range []partition.Breaks{
				{MaxSize: 1 << 20, Raggedness: 1 << 40}, // all keys in one range
				{MaxSize: 1, Raggedness: 1},             // every key in its own
			} {
				files := &memory{}
				w := rangewriter.New(t.Context(), files, breaks, rangewriter.Options{Uploads: 2})
				defer w.Close()
				var err error
				for _, b := range test.batches {
					if err = w.Write(entrytest.Batch(b...)); err != nil {
						break
					}
				}
				if !errors.Is(err, objectstore.ErrBadListing) {
					t.Fatalf("error %v, want one that wraps ErrBadListing", err)
				}
				for _, name := range test.names {
					if !strings.Contains(err.Error(), name) {
						t.Errorf("error %q does not name %s", err, name)
					}
				}
				if again := w.Flush(); !errors.Is(again, err) {
					t.Errorf("Flush after it returned %v, want the same error", again)
				}
				w.Close()
				if breaks.MaxSize > 1 && len(files.files) > 0 {
					t.Errorf("stored %d ranges, want none", len(files.files))
				}
			}
		})
	}
}

// The first error stops the writer: every call returns it, nothing more is
// reported.
func TestFirstErrorSticks(t *testing.T) {
	boom := errors.New("boom")
	entries := entrytest.Random(seeded.Rand(t), 100)
	oneEach := partition.Breaks{MaxSize: 1, Raggedness: 1}
	fifth := naive(t, entries, oneEach)[4]
	var reported []partition.RangeMetadata
	tests := []struct {
		name   string
		files  rangewriter.Files
		stored func(partition.RangeMetadata) error
	}{
		{"upload", putFunc(func(_ context.Context, id string, _ []byte) error {
			if id == fifth.ID {
				return boom
			}
			return nil
		}), collect(&reported)},
		{"stored", &memory{}, func(r partition.RangeMetadata) error {
			if r == fifth {
				return boom
			}
			reported = append(reported, r)
			return nil
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			reported = nil
			w := rangewriter.New(t.Context(), test.files, oneEach, rangewriter.Options{Uploads: 2, Stored: test.stored})
			defer w.Close()
			err := w.Write(entrytest.Batch(entries...)) // more ranges than can be in flight: the error shows
			if !errors.Is(err, boom) || !strings.Contains(err.Error(), fifth.ID) {
				t.Fatalf("Write returned %v, want an error that wraps boom and names range %s", err, fifth.ID)
			}
			for name, again := range map[string]error{
				"Write": w.Write(entrytest.Batch()), "Flush": w.Flush(), "Wait": w.Wait(),
			} {
				if !errors.Is(again, err) {
					t.Errorf("%s then returned %v, want the same error", name, again)
				}
			}
			w.Close()
			if len(reported) > 4 || !slices.Equal(reported, naive(t, entries, oneEach)[:len(reported)]) {
				t.Errorf("reported %d ranges, want the first ones up to 4", len(reported))
			}
		})
	}
}

// No more uploads run at once than allowed. The end of the context ends even a wait for
// uploads that hang.
func TestUploadsAreBoundedAndCancelled(t *testing.T) {
	const uploads = 3
	started := make(chan struct{}, 100)
	hang := putFunc(func(ctx context.Context, _ string, _ []byte) error {
		started <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	calls := map[string]func(*rangewriter.Writer) error{
		"Write": func(w *rangewriter.Writer) error {
			return w.Write(entrytest.Batch(entrytest.Random(seeded.Rand(t), 50)...))
		},
		"Flush": func(w *rangewriter.Writer) error {
			expect.NoError(t, w.Write(entrytest.Batch(entrytest.Random(seeded.Rand(t), uploads)...)))
			return w.Flush()
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			w := rangewriter.New(ctx, hang, partition.Breaks{MaxSize: 1, Raggedness: 1}, rangewriter.Options{Uploads: uploads})
			defer w.Close()
			returned := make(chan error)
			go func() { returned <- call(w) }()
			for range uploads {
				<-started
			}
			select {
			case <-started:
				t.Errorf("more than %d uploads run at once", uploads)
			case err := <-returned:
				t.Errorf("returned %v while uploads hang", err)
			case <-time.After(20 * time.Millisecond): // long enough to catch an unbounded writer
			}
			cancel()
			if err := <-returned; !errors.Is(err, context.Canceled) {
				t.Errorf("returned %v, want context.Canceled", err)
			}
		})
	}
}

// Ranges are reported in key order even if a later one is stored first.
func TestReportedInKeyOrder(t *testing.T) {
	entries := entrytest.Random(seeded.Rand(t), 3)
	oneEach := partition.Breaks{MaxSize: 1, Raggedness: 1}
	want := naive(t, entries, oneEach)
	release, stored := make(chan struct{}), make(chan string, 3)
	files := putFunc(func(_ context.Context, id string, _ []byte) error {
		if id == want[0].ID {
			<-release
		}
		stored <- id
		return nil
	})
	var got []partition.RangeMetadata
	w := rangewriter.New(t.Context(), files, oneEach, rangewriter.Options{Uploads: 3, Stored: collect(&got)})
	defer w.Close()
	expect.NoError(t, w.Write(entrytest.Batch(entries...)))
	<-stored
	<-stored
	close(release) // the first range is stored last
	expect.NoError(t, w.Flush())
	if !slices.Equal(got, want) {
		t.Errorf("reported %v, want %v", got, want)
	}
}

// Close drops open and unfinished ranges, may be called again, and has later calls fail.
func TestClose(t *testing.T) {
	running := make(chan struct{})
	files := putFunc(func(ctx context.Context, _ string, _ []byte) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	})
	entries := entrytest.Random(seeded.Rand(t), 2)
	w := rangewriter.New(t.Context(), files, partition.Breaks{MaxSize: 1, Raggedness: 1}, rangewriter.Options{
		Uploads: 2,
		Stored:  func(r partition.RangeMetadata) error { t.Errorf("reported %v", r); return nil },
	})
	expect.NoError(t, w.Write(entrytest.Batch(entries[0])))
	<-running
	w.Close()
	w.Close()
	if w.Write(entrytest.Batch(entries[1])) == nil || w.Flush() == nil || w.Wait() == nil {
		t.Error("calls of a closed writer succeed")
	}
}
