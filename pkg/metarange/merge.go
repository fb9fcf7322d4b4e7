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
// The result is canonical as that of Land is, under the same conditions, and files
// are stored likewise. Ranges that base shares with either side are not read, nor are
// ranges whose keys no other tree has: the work is proportional to the ranges in which
// both sides differ. At most one file of each tree and one that is being written are in
// memory. An error is yielded last.
func Merge(ctx context.Context, files Files, breaks partition.Breaks, base, ours, theirs Ranges) Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		m := threeWay{
			base: newInput(files, walked(base), nil), ours: newInput(files, walked(ours), nil), theirs: newInput(files, walked(theirs), nil),
		}
		m.run(ctx, files, breaks, "merge trees", yield)
	}
}

// threeWay is the state of one Merge or replace.
type threeWay struct {
	base, ours, theirs *input
	oursWin            bool // of a key that both sides have changed; else that is a conflict
	out                output
}

func (m *threeWay) all() [3]*input { return [3]*input{m.base, m.ours, m.theirs} }

// run yields the merged ranges.
func (m *threeWay) run(ctx context.Context, files Files, breaks partition.Breaks, what string, yield func(partition.RangeMetadata, error) bool) {
	m.out = output{files: files, breaks: breaks, w: table.NewWriter(table.Ranges)}
	m.out.yield = func(r partition.RangeMetadata) bool { return yield(r, nil) }
	// A range that was stored before and is written again ends with the last record of a
	// range that was read, which is the one that was opened last.
	m.out.stored = func(id string) bool { return id == m.ours.opened || id == m.theirs.opened }
	defer m.out.w.Abort()
	var err error
	for _, in := range m.all() {
		defer in.stop()
		if err == nil {
			err = in.fill()
		}
	}
	for more := true; more && err == nil && !m.out.stopped; {
		more, err = m.step(ctx)
	}
	if err != nil && !m.out.stopped {
		yield(partition.RangeMetadata{}, fmt.Errorf("%s: %w", what, err))
	}
}

// step moves a range or a key to the output, and reports whether more may be left.
func (m *threeWay) step(ctx context.Context) (more bool, err error) {
	if moved, err := m.moveRange(); moved || err != nil {
		return true, err
	}
	key := m.least()
	if key == nil {
		return false, m.out.flush(ctx)
	}
	return true, m.moveKey(ctx, key)
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
		if m.passes(in) {
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

// passes reports whether the next range of in, which is alone, can stay unchanged. If the
// output is at a boundary, the range starts with an empty writer, as every range did. Then it
// is canonical if no key is to be removed from it, and if it ends where a range must, or at
// the end of the tree.
func (m *threeWay) passes(in *input) bool {
	r := in.first
	if !m.out.atBoundary() || in.gone.touches(r.MinKey, r.MaxKey) {
		return false
	}
	last := in.last()
	for _, other := range m.all() {
		last = last && (other == in || other.done())
	}
	return last || m.out.breaks.EndsAfter([]byte(r.MaxKey), r.EstimatedSize)
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

// moveKey merges the least key, or opens a range that may begin with it.
func (m *threeWay) moveKey(ctx context.Context, key []byte) error {
	var at [3]*table.Record // of base, ours and theirs; nil where the key is missing
	for i, in := range m.all() {
		if in.done() || !bytes.Equal(in.key, key) {
			continue
		}
		if !in.isOpen() {
			m.out.expect(in.first.EstimatedSize)
			return in.open(ctx)
		}
		at[i] = &in.records.Record
	}
	merged, ok := m.choose(at[0], at[1], at[2])
	if !ok {
		return &ConflictError{Key: string(key)}
	}
	if merged != nil {
		if err := m.out.add(ctx, *merged); err != nil {
			return err
		}
	}
	for i, in := range m.all() {
		if at[i] != nil {
			if err := in.advance(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// choose returns the merged record of a key; ok is false if there is a conflict. A nil record
// is a missing key.
func (m *threeWay) choose(base, ours, theirs *table.Record) (merged *table.Record, ok bool) {
	switch {
	case alike(base, theirs), alike(ours, theirs):
		return ours, true
	case alike(base, ours):
		return theirs, true
	}
	return ours, m.oursWin
}

func alike(a, b *table.Record) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.Value, b.Value)
}
