// Package landing compares what a coordinator does when an import lands on its branch with the
// least work: to read the metaranges of the branch and of the import, and to write that of the
// result.
package landing

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Stored is a case whose files are stored in a directory.
type Stored struct {
	Dir                    string
	Head, Imported, Result string // metaranges
	Removed                metarange.Removed
	Ranges                 int      // of the result
	Cut                    []string // ranges that are read
	New                    []string // ranges that are written
	Changes                metarange.Changes
}

// Cost is what a landing takes, or the least work.
type Cost struct {
	measure.Usage
	Calls int   `json:"calls"` // of the store
	Bytes int64 `json:"bytes"` // that are read and written
}

// Store writes the files of a case with n ranges in each tree into dir, and lands the import
// once.
func (c Case) Store(ctx context.Context, dir string, n int) (s Stored, err error) {
	to, err := open(dir)
	if err != nil {
		return s, err
	}
	t := c.make(n)
	s = Stored{Dir: dir, Removed: t.removed}
	old := make(map[string]bool)
	for i, id := range []*string{&s.Head, &s.Imported} {
		ranges, err := s.write(ctx, to, [][]item{t.head, t.imported}[i])
		if err != nil {
			return s, err
		}
		for _, r := range ranges {
			old[r.ID] = true
		}
		if *id, err = metarange.Write(ctx, to, ranges); err != nil {
			return s, err
		}
	}
	chain, err := s.chain(ctx, to)
	if err != nil {
		return s, err
	}
	if s.Result, s.Changes, err = s.land(ctx, to, chain.Fold(), newBudget()); err != nil {
		return s, err
	}
	result, err := metarange.Read(ctx, to, s.Result)
	if err != nil {
		return s, err
	}
	s.Ranges = len(result)
	for _, r := range result {
		if !old[r.ID] {
			s.New = append(s.New, r.ID)
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	return s, os.WriteFile(filepath.Join(dir, "case.json"), text, 0o600)
}

// Open returns the case whose files Store has written into dir.
func Open(dir string) (s Stored, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s)
}

// write writes the files of ranges that have keys, and returns all ranges.
func (s *Stored) write(ctx context.Context, to *files, items []item) (ranges []partition.RangeMetadata, err error) {
	for _, it := range items {
		if it.keys != nil {
			if it.RangeMetadata, err = writeRange(ctx, to, it.keys); err != nil {
				return nil, err
			}
			s.Cut = append(s.Cut, it.ID)
		}
		ranges = append(ranges, it.RangeMetadata)
	}
	return ranges, nil
}

// writeRange stores a range of the keys.
func writeRange(ctx context.Context, to *files, keys []string) (partition.RangeMetadata, error) {
	w, b := table.NewWriter(table.Ranges), entry.NewBuilder()
	for i, key := range keys {
		b.Append([]byte(key), []byte("s3://lake/"+key), fmt.Appendf(nil, "%032x", i), int64(i), int64(i)*1e9)
	}
	batch := b.Batch()
	for i, identity := range table.Identities(nil, batch) {
		if err := w.AddEntry(batch, i, identity); err != nil {
			return partition.RangeMetadata{}, err
		}
	}
	t := w.Close()
	return t.Meta, to.Put(ctx, t.Meta.ID, t.Data, t.Sum)
}

// chain returns the covers of the import as a coordinator holds them.
func (s Stored) chain(ctx context.Context, from *files) (*partition.Chain, error) {
	ranges, _, err := metarange.Stream(ctx, from, s.Imported)
	if err != nil {
		return nil, err
	}
	var chain partition.Chain
	after := ""
	for r, err := range ranges {
		if err != nil {
			return nil, err
		}
		chain.Add(partition.Cover{Span: partition.Span{After: after, Upto: r.MaxKey}, Range: &r})
		after = r.MaxKey
	}
	chain.Add(partition.Cover{Span: partition.Span{After: after}})
	return &chain, nil
}

// land makes and stores the tree that the import leaves, as coordinator.treeMaker does.
func (s Stored) land(ctx context.Context, in *files, fold partition.Fold, budget *metarange.Budget) (id string, changes metarange.Changes, err error) {
	ranges, count, err := metarange.Land(ctx, in, breaks, s.Head, fold, s.Removed, budget, &changes)
	if err != nil {
		return "", changes, err
	}
	id, err = metarange.WriteAll(ctx, in, ranges, count+fold.Ranges)
	return id, changes, err
}

// Land measures a landing: from the covers, which are in memory, to the stored metarange.
func (s Stored) Land(ctx context.Context) (Cost, error) { return s.measureLand(ctx, newBudget(), 0) }

// newBudget is that of a coordinator.
func newBudget() *metarange.Budget { return metarange.NewBudget(limits.Comparisons, nil) }

// measureLand measures a landing on a store whose reads have a delay.
func (s Stored) measureLand(ctx context.Context, budget *metarange.Budget, delay time.Duration) (Cost, error) {
	in, err := open(s.Dir)
	if err != nil {
		return Cost{}, err
	}
	chain, err := s.chain(ctx, in)
	if err != nil {
		return Cost{}, err
	}
	in.delay = delay
	return in.measure(func() error {
		id, changes, err := s.land(ctx, in, chain.Fold(), budget)
		if err == nil && (id != s.Result || changes != s.Changes) {
			err = fmt.Errorf("landed %s, %+v, want %s, %+v", id, changes, s.Result, s.Changes)
		}
		return err
	})
}
