package table

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// check compares all records of a table with its ID and its properties.
type check struct {
	id    string
	meta  partition.RangeMetadata
	props map[string]string // that the ID covers

	sum         hash.Hash
	wait        []byte // records that are not hashed yet
	count       int64
	first, last []byte // keys
}

func newCheck(id string, meta partition.RangeMetadata, props map[string]string) *check {
	return &check{id: id, meta: meta, props: props, sum: sha256.New()}
}

// add takes the next record. It does not keep its slices.
func (c *check) add(key, value []byte) {
	if c.count == 0 {
		c.first = append(c.first, key...)
	}
	c.count++
	c.last = append(c.last[:0], key...)
	c.wait = appendHashInput(appendHashInput(c.wait, key), value)
	if len(c.wait) >= 4<<10 {
		c.sum.Write(c.wait)
		c.wait = c.wait[:0]
	}
}

// finish returns what is wrong with the records, once all of them were added.
func (c *check) finish() error {
	c.sum.Write(ident.AppendStringMap(c.wait, c.props))
	if id := hex.EncodeToString(c.sum.Sum(nil)); id != c.id {
		return corrupt("the records are those of table %s, not %s", id, c.id)
	}
	if c.count != c.meta.Count || string(c.first) != c.meta.MinKey || string(c.last) != c.meta.MaxKey {
		return corrupt("there are %d records from %q to %q, the properties say %d from %q to %q",
			c.count, c.first, c.last, c.meta.Count, c.meta.MinKey, c.meta.MaxKey)
	}
	return nil
}
