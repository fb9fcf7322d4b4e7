package table

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Names and values of properties that a reader checks.
const (
	propIndexType  = "rocksdb.block.based.table.index.type"
	indexOneLevel  = "\x00\x00\x00\x00"
	indexTwoLevels = "\x02\x00\x00\x00"

	propComparator = "rocksdb.comparator" // the order of keys
	comparator     = "leveldb.BytewiseComparator"
)

// propertiesBlock is the name of the properties block in the metaindex block.
const propertiesBlock = "rocksdb.properties"

// sizes are those of a finished file, in bytes before compression unless stated otherwise.
type sizes struct {
	data       int // of the data blocks, as compressed, with trailers
	dataBlocks int // number of data blocks
	index      int // of the whole index, with the trailer of its last block only
	topIndex   int // of the index of parts, 0 if there is none
	parts      int // number of parts of the index
}

// property is one record of the properties block.
type property struct {
	name  string
	value []byte
}

// properties returns the properties of the file, sorted by name: those of this
// format and those that pebble writes into every table. The ID of meta is not stored.
func (s *sst) properties(kind Kind, meta partition.RangeMetadata, z sizes) []property {
	indexType := indexOneLevel
	if z.parts > 0 {
		indexType = indexTwoLevels
	}
	all := []property{
		text(propCount, strconv.FormatInt(meta.Count, 10)),
		text(propEstimatedSize, strconv.FormatUint(meta.EstimatedSize, 10)),
		text(propMaxKey, meta.MaxKey),
		text(propMinKey, meta.MinKey),
		text(propIndexType, indexType),
		text("rocksdb.block.based.table.prefix.filtering", "0"),
		text("rocksdb.block.based.table.whole.key.filtering", "0"),
		number("rocksdb.column.family.id", math.MaxInt32),
		text(propComparator, comparator),
		text("rocksdb.compression", "Snappy"),
		text("rocksdb.compression_options", "window_bits=-14; level=32767; strategy=0; "+
			"max_dict_bytes=0; zstd_max_train_bytes=0; enabled=0; "),
		number("rocksdb.creation.time", 0),
		number("rocksdb.data.size", z.data),
		number("rocksdb.deleted.keys", 0),
		{"rocksdb.external_sst_file.global_seqno", make([]byte, 8)},
		text("rocksdb.external_sst_file.version", "\x02\x00\x00\x00"),
		number("rocksdb.filter.size", 0),
		number("rocksdb.fixed.key.length", 0),
		number("rocksdb.format.version", 0),
		number("rocksdb.index.key.is.user.key", 0),
	}
	if z.parts > 0 {
		all = append(all, number("rocksdb.index.partitions", z.parts))
	}
	all = append(all,
		number("rocksdb.index.size", z.index),
		number("rocksdb.index.value.is.delta.encoded", 0),
		number("rocksdb.merge.operands", 0),
		text("rocksdb.merge.operator", "pebble.concatenate"),
		number("rocksdb.num.data.blocks", z.dataBlocks),
		number("rocksdb.num.entries", s.count),
		number("rocksdb.num.range-deletions", 0),
		number("rocksdb.oldest.key.time", 0),
		text("rocksdb.prefix.extractor.name", "nullptr"),
		text("rocksdb.property.collectors", "[static]"), // the name that lakeFS gives its own
		number("rocksdb.raw.key.size", s.rawKeySize),
		number("rocksdb.raw.value.size", s.rawValueSize),
	)
	if z.parts > 0 {
		all = append(all, number("rocksdb.top-level.index.size", z.topIndex))
	}
	return append(all, text(propType, string(kind)))
}

func text(name, value string) property { return property{name, []byte(value)} }

func number(name string, n int) property {
	return property{name, binary.AppendUvarint(nil, uint64(n))}
}
