// Package changes measures what it costs to tell how an import changes a branch,
// beside what the import itself costs: both of one process, on the same keys.
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

// Breaks make about a hundred ranges of the keys that are measured.
var Breaks = partition.Breaks{MaxSize: 20 << 20, Raggedness: 2000}

// every says of how many ranges one differs.
const every = 10

// Result is what importing some keys took, and comparing the tree with one of which
// a tenth of the ranges differ.
type Result struct {
	Keys, Ranges, Differ int
	Import, Compare      measure.Usage
	Changes              metarange.Changes
}

// Ratio is the part of the import's processor time that comparing takes.
func (r Result) Ratio() float64 { return float64(r.Compare.CPU) / float64(r.Import.CPU) }

// Measure imports so many pages of 1000 keys of a set into a tree, and compares it.
// The import is the stages of a worker, which fetches pages from the synthetic S3 at the
// endpoint and stores ranges there, and nothing of a coordinator.
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
		for _, err := range metarange.Compare(ctx, m, metarange.List(before), metarange.List(after), &r.Changes) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	return r, err
}

// work does one stage of an import with all pages.
func work(ctx context.Context, in *stage.Input, name string, pages int) error {
	s, ok := stage.ByName(name)
	if !ok {
		return fmt.Errorf("no stage is called %q", name)
	}
	step, err := s.New(ctx, in)
	for page := 0; page < pages && err == nil; page++ {
		err = step(page)
	}
	return err
}

// write writes the ranges of batches, with another size of the keys that are touched.
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
