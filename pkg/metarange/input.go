package metarange

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// input is a sequence of ranges that a merge or a comparison reads. The first range may be
// open. After newInput, fill must be called once, and stop at the end.
type input struct {
	files Files
	gone  removal // keys that are left out
	trust bool    // that a file has its ID, where records are only counted

	// The remaining ranges. None of them lies wholly in gone.
	pull   func() (partition.RangeMetadata, error, bool)
	stop   func()
	back   []partition.RangeMetadata // come before those of pull
	first  partition.RangeMetadata   // valid if left > 0
	second partition.RangeMetadata   // valid if left > 1
	left   int                       // 0 to 2; below 2 there are no more ranges

	// key is a lower bound of the remaining keys: the key of the next record if a range
	// is open, else the first key of the next range, which may be gone.
	key   []byte
	begin []byte // memory of the first key of a range that is not open

	opened string // ID of the range that was opened last

	records *table.Cursor // of the open range, at the record of the key above; nil if none is open
}

// walk begins a pass over ranges that pass Check. Of what it returns, next and stop are as
// those of iter.Pull2.
type walk func() (next func() (partition.RangeMetadata, error, bool), stop func())

// walked returns the walk over a sequence.
func walked(ranges Ranges) walk {
	return func() (next func() (partition.RangeMetadata, error, bool), stop func()) {
		return iter.Pull2(checked(ranges))
	}
}

// newInput returns the input of ranges, less the keys of gone.
func newInput(files Files, ranges walk, gone removal) *input {
	in := &input{files: files, gone: gone}
	in.pull, in.stop = ranges()
	return in
}

// fill pulls ranges until there are two, if there are as many, and sets key to the first
// key of the first.
func (in *input) fill() error {
	for in.left < 2 {
		r, err, ok := in.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if in.gone.covers(r.MinKey, r.MaxKey) {
			continue
		}
		if in.left++; in.left == 1 {
			in.first = r
		} else {
			in.second = r
		}
	}
	if in.left > 0 {
		in.begin = append(in.begin[:0], in.first.MinKey...)
		in.key = in.begin
	}
	return nil
}

// next returns the range after those that are filled in, as pull does.
func (in *input) next() (r partition.RangeMetadata, err error, ok bool) {
	if len(in.back) == 0 {
		return in.pull()
	}
	r, in.back = in.back[0], in.back[1:]
	return r, nil, true
}

// unread puts ranges that were dropped before the remaining ones again. No range is open.
func (in *input) unread(ranges []partition.RangeMetadata) error {
	filled := []partition.RangeMetadata{in.first, in.second}[:in.left]
	in.back = slices.Concat(ranges, filled, in.back)
	in.left = 0
	return in.fill()
}

func (in *input) done() bool   { return in.left == 0 }
func (in *input) last() bool   { return in.left == 1 }
func (in *input) isOpen() bool { return in.records != nil }

// open reads the next range's file and goes to its first record that is not gone.
func (in *input) open(ctx context.Context) error {
	records, err := loadRange(ctx, in.files, in.first, in.trust)
	if err != nil {
		return err
	}
	in.opened = in.first.ID
	in.records, err = records.Cursor(ctx, "")
	return in.skipGone(ctx, err)
}

// advance goes to the next record of the open range that is not gone.
func (in *input) advance(ctx context.Context) error {
	return in.skipGone(ctx, in.records.Next(ctx))
}

// skipGone goes to the first record that is not gone, from the current one on, or drops the
// open range if there is none. err is that of getting to the current record.
func (in *input) skipGone(ctx context.Context, err error) error {
	for ; err == nil; err = in.records.Next(ctx) {
		if in.records.Done() {
			return in.drop()
		}
		if !in.gone.takes(in.records.Key) {
			in.key = in.records.Key
			return nil
		}
	}
	return fmt.Errorf("read range %s: %w", in.first.ID, err)
}

// drop removes the first range, whether it is open or not.
func (in *input) drop() error {
	in.records = nil
	in.first = in.second
	in.left--
	return in.fill()
}

// loadRange reads a range's whole file, and verifies what the metarange says about it. Unless
// the file is trusted, it verifies the ID, too, which takes twice as long again. The checksums
// of blocks are checked in any case.
func loadRange(ctx context.Context, files Files, r partition.RangeMetadata, trust bool) (*table.Reader, error) {
	get := func(ctx context.Context) ([]byte, error) { return files.Get(ctx, r.ID) }
	var data []byte
	var err error
	if trust {
		data, err = get(ctx)
	} else {
		data, err = table.Load(ctx, r.ID, get)
	}
	var records *table.Reader
	if err == nil {
		records, err = table.NewReader(data)
	}
	if err == nil {
		err = checkRange(records, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read range %s: %w", r.ID, err)
	}
	return records, nil
}

// checkRange makes sure that a table is a range, and the one that its metarange describes.
func checkRange(records *table.Reader, r partition.RangeMetadata) error {
	if err := checkKind(records, table.Ranges); err != nil {
		return err
	}
	if p := records.Properties(); p.MinKey != r.MinKey || p.MaxKey != r.MaxKey || p.Count != r.Count {
		return fmt.Errorf("%w: it holds %d entries from %q to %q, its metarange says %d from %q to %q",
			table.ErrCorrupt, p.Count, p.MinKey, p.MaxKey, r.Count, r.MinKey, r.MaxKey)
	}
	return nil
}
