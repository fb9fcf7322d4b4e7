package metarange

import (
	"bytes"
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// ConflictError says that two trees changed a key in different ways.
type ConflictError struct{ Key string }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("both sides have changed the key %q", e.Key)
}

// Merge yields the ranges of a three-way merge. If theirs has the same entry of a key as
// base, the result has that of ours; if ours has the same entry as base, the result has
// that of theirs. If both changed a key, they must have the same entry: else the error is
// a ConflictError. A missing key counts as an entry of its own.
//
// The result is canonical as that of Replace is, under the same conditions, and files
// are stored likewise. Ranges that base shares with either side are not read, nor are
// ranges whose keys no other tree has: the work is proportional to the ranges in which
// both sides differ. At most one file of each tree and one that is being written are in
// memory. An error is yielded last.
func Merge(ctx context.Context, files Files, breaks partition.Breaks, base, ours, theirs Ranges) Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		m := threeWay{breaks: breaks, out: output{files: files, breaks: breaks}}
		m.out.yield = func(r partition.RangeMetadata) bool { return yield(r, nil) }
		m.out.stored = func(id string) bool { return id == m.ours.opened || id == m.theirs.opened }
		defer m.out.close()
		err := m.init(files, base, ours, theirs)
		defer m.close()
		if err == nil {
			err = m.run(ctx)
		}
		if err != nil && !m.out.stopped {
			yield(partition.RangeMetadata{}, fmt.Errorf("merge trees: %w", err))
		}
	}
}

// threeWay is the state of one Merge.
type threeWay struct {
	breaks             partition.Breaks
	base, ours, theirs *input
	out                output
}

func (m *threeWay) init(files Files, base, ours, theirs Ranges) (err error) {
	for _, in := range []struct {
		to   **input
		from Ranges
	}{{&m.base, base}, {&m.ours, ours}, {&m.theirs, theirs}} {
		if *in.to, err = newInput(files, in.from, nil); err != nil {
			return err
		}
	}
	return nil
}

func (m *threeWay) all() [3]*input { return [3]*input{m.base, m.ours, m.theirs} }

func (m *threeWay) close() {
	for _, in := range m.all() {
		if in != nil {
			in.close()
		}
	}
}

// run moves range after range, or key after key, to the output.
func (m *threeWay) run(ctx context.Context) error {
	for !m.out.stopped {
		moved, err := m.moveRange()
		if err != nil {
			return err
		}
		if moved {
			continue
		}
		key := m.least()
		if key == nil {
			return m.out.flush(ctx)
		}
		if err := m.moveKey(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// moveRange skips ranges, or keeps one, without reading them, where their metadata allows
// it: of the keys that two trees share, the result has what the third tree has.
func (m *threeWay) moveRange() (moved bool, err error) {
	for _, side := range []*input{m.ours, m.theirs} {
		if same(m.base, side) {
			if err := m.base.drop(); err != nil {
				return false, err
			}
			return true, side.drop()
		}
	}
	for _, in := range m.all() {
		if in.done() || in.isOpen() || !m.alone(in) {
			continue
		}
		if in == m.base { // both sides have removed its keys
			return true, in.drop()
		}
		if m.ends(in) {
			m.out.keep(in.first)
			return true, in.drop()
		}
	}
	return false, nil
}

// same reports whether two inputs have the same range next.
func same(a, b *input) bool {
	return !a.done() && !b.done() && !a.isOpen() && !b.isOpen() && a.first.ID == b.first.ID
}

// alone reports whether no other input has a remaining key up to the end of the next range
// of in.
func (m *threeWay) alone(in *input) bool {
	for _, other := range m.all() {
		if other != in && !other.done() && string(other.key) <= in.first.MaxKey {
			return false
		}
	}
	return true
}

// ends reports whether the next range of in, which is alone, begins and ends where a
// canonical range does.
func (m *threeWay) ends(in *input) bool {
	last := in.last()
	for _, other := range m.all() {
		last = last && (other == in || other.done())
	}
	return m.out.atBoundary() && in.first.MinKey > string(m.out.last) &&
		(last || m.breaks.EndsAfter([]byte(in.first.MaxKey), in.first.EstimatedSize))
}

// least returns the least next key of all inputs; nil if all are done.
func (m *threeWay) least() (key []byte) {
	for _, in := range m.all() {
		if !in.done() && (key == nil || bytes.Compare(in.key, key) < 0) {
			key = in.key
		}
	}
	return key
}

// moveKey merges the least key.
func (m *threeWay) moveKey(ctx context.Context, key []byte) error {
	var at [3]*table.Record // of base, ours and theirs; nil where the key is missing
	for i, in := range m.all() {
		if in.done() || !bytes.Equal(in.key, key) {
			continue
		}
		if !in.isOpen() {
			m.out.expect(in.first.EstimatedSize)
			if err := in.open(ctx); err != nil {
				return err
			}
		}
		at[i] = &in.records.Record
	}
	merged, err := mergeRecord(at[0], at[1], at[2])
	if err == nil && merged != nil {
		err = m.out.add(ctx, *merged)
	}
	for i, in := range m.all() {
		if err == nil && at[i] != nil {
			err = in.advance(ctx)
		}
	}
	return err
}

// mergeRecord returns the merged record of a key. A nil record is a missing key.
func mergeRecord(base, ours, theirs *table.Record) (*table.Record, error) {
	switch {
	case alike(base, theirs), alike(ours, theirs):
		return ours, nil
	case alike(base, ours):
		return theirs, nil
	}
	for _, r := range []*table.Record{base, ours, theirs} {
		if r != nil {
			return nil, &ConflictError{Key: string(r.Key)}
		}
	}
	return nil, nil // not reached: three that are missing are alike
}

func alike(a, b *table.Record) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.Value, b.Value)
}
