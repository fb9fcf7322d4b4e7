package landing

import (
	"bytes"
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/table"
)

// Bare measures the least work: it reads all records of the two metaranges, and of the ranges
// that the landing reads, and writes the files that the landing writes, whose records are in
// memory. It merges, decodes, counts and verifies nothing.
func (s Stored) Bare(ctx context.Context) (Cost, error) {
	in, err := open(s.Dir)
	if err != nil {
		return Cost{}, err
	}
	outputs := []*output{{kind: table.Metaranges, id: s.Result}}
	for _, id := range s.New {
		outputs = append(outputs, &output{kind: table.Ranges, id: id})
	}
	for _, o := range outputs {
		if err := read(ctx, in, o.id, o.keep); err != nil {
			return Cost{}, err
		}
	}
	return in.measure(func() error {
		for _, id := range append([]string{s.Head, s.Imported}, s.Cut...) {
			if err := read(ctx, in, id, func(table.Record) {}); err != nil {
				return err
			}
		}
		for _, o := range outputs {
			if err := o.write(ctx, in); err != nil {
				return err
			}
		}
		return nil
	})
}

// read calls take with each record of a file, which lives during the call.
func read(ctx context.Context, in *files, id string, take func(table.Record)) error {
	data, err := in.Get(ctx, id)
	if err != nil {
		return err
	}
	r, err := table.NewReader(data)
	if err != nil {
		return err
	}
	for rec, err := range r.From(ctx, "") {
		if err != nil {
			return err
		}
		take(rec)
	}
	return nil
}

// output is a file that is to be written.
type output struct {
	kind    table.Kind
	id      string
	records []table.Record
	size    int // of all records
}

func (o *output) keep(rec table.Record) {
	o.records = append(o.records, table.Record{Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value)})
	o.size += len(rec.Key) + len(rec.Value)
}

func (o *output) write(ctx context.Context, to *files) error {
	w := table.NewWriter(o.kind)
	w.Grow(o.size)
	for _, rec := range o.records {
		if err := w.Add(rec.Key, rec.Value); err != nil {
			return err
		}
	}
	t := w.Close()
	if t.Meta.ID != o.id {
		return fmt.Errorf("wrote %s, want %s", t.Meta.ID, o.id)
	}
	return to.Put(ctx, t.Meta.ID, t.Data, t.Sum)
}
