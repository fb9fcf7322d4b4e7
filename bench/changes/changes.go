// Package changes compares the cost of counting what an import changes in a branch with
// the cost of the import itself. Both run in one process, on the same keys.
package changes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/bench/stage"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// Breaks divide the measured keys into about a hundred ranges.
var Breaks = partition.Breaks{MaxSize: 20 << 20, Raggedness: 2000}

// every is the number of ranges in which one differs.
const every = 10

// Result is the cost of an import, and of comparing its tree with one in which a tenth of
// the ranges differ.
type Result struct {
	Keys, Ranges, Differ int
	Import, Compare      measure.Usage
	Changes              metarange.Changes
}

// Ratio returns the CPU time of the comparison over that of the import.
func (r Result) Ratio() float64 { return float64(r.Compare.CPU) / float64(r.Import.CPU) }

// Measure imports the given number of pages of 1000 keys of a set into a tree, and compares
// it. The import runs the stages of a worker: it fetches pages from the synthetic S3 at the
// endpoint and stores ranges there. It has no part of a coordinator.
func Measure(ctx context.Context, bucket string, pages int, endpoint string) (Result, error) {
	in, err := stage.NewInput(ctx, bucket, pages, endpoint)
	if err != nil {
		return Result{}, err
	}
	m := &memory{files: make(map[string][]byte)}
	r := Result{Keys: pages * stage.PageKeys}
	var before, after []partition.RangeMetadata
	if r.Import, err = measure.Self(func() error {
		for _, name := range []string{"fetch", "decode", "entry"} {
			if err := work(ctx, in, name, pages); err != nil {
				return err
			}
		}
		files, err := stage.Files(ctx, endpoint)
		if err != nil {
			return err
		}
		before, err = write(ctx, both{m, files}, in.Batches, nil)
		return err
	}); err != nil {
		return Result{}, err
	}
	touched := make(map[string]bool)
	for i := 0; i < len(before); i += every {
		touched[before[i].MinKey] = true
	}
	if after, err = write(ctx, m, in.Batches, touched); err != nil {
		return Result{}, err
	}
	r.Ranges, r.Differ = len(before), len(touched)
	r.Compare, err = measure.Self(func() error {
		for _, err := range metarange.Compare(ctx, m, metarange.List(before), metarange.List(after), nil, &r.Changes) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	return r, err
}

// work runs one stage of an import on all pages.
func work(ctx context.Context, in *stage.Input, name string, pages int) error {
	s, ok := stage.ByName(name)
	if !ok {
		return fmt.Errorf("unknown stage %q", name)
	}
	step, err := s.New(ctx, in)
	for page := 0; page < pages && err == nil; page++ {
		err = step(page)
	}
	return err
}

// write writes the ranges of batches. Objects whose keys are touched get another size.
func write(ctx context.Context, to rangewriter.Files, batches []entry.Batch, touched map[string]bool) (ranges []partition.RangeMetadata, err error) {
	w := rangewriter.New(ctx, to, Breaks, rangewriter.Options{
		Uploads: 1,
		Stored:  func(r partition.RangeMetadata) error { ranges = append(ranges, r); return nil },
	})
	defer w.Close()
	b := entry.NewBuilder()
	for _, batch := range batches {
		if touched != nil {
			batch = touch(b, batch, touched)
		}
		if err := w.Write(batch); err != nil {
			return nil, err
		}
	}
	return ranges, w.Flush()
}

func touch(b *entry.Builder, batch entry.Batch, touched map[string]bool) entry.Batch {
	for i := range batch.Len() {
		size := batch.Size(i)
		if touched[string(batch.Key(i))] {
			size++
		}
		b.Append(batch.Key(i), batch.Address(i), batch.ETag(i), size, batch.ModTime(i))
	}
	return b.Batch()
}

// both keeps files in memory and in a store.
type both struct {
	*memory
	store rangewriter.Files
}

func (b both) Put(ctx context.Context, id string, data []byte, sum objectstore.Sum) error {
	return errors.Join(b.memory.Put(ctx, id, data, sum), b.store.Put(ctx, id, data, sum))
}

// memory keeps files in memory.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (m *memory) Put(_ context.Context, id string, data []byte, _ objectstore.Sum) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[id] = bytes.Clone(data)
	return nil
}

func (m *memory) Get(_ context.Context, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.files[id]
	if !ok {
		return nil, fmt.Errorf("no file %s", id)
	}
	return data, nil
}
