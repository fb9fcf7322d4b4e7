package table

import (
	"strconv"
	"sync"

	"github.com/rangefleet/rangefleet/internal/sha256x2"
)

// chunk is how many bytes of records are hashed at once. To start a goroutine costs as
// much as to hash a few thousand bytes.
const chunk = 512 << 10

// sums computes the two hashes of a table: that of its records, which is its ID, and
// that of its file, which requests to stores contain. Nothing needs them before the table
// ends, so they are computed in the background, both at a time: for each chunk of records
// and what the file has gained meanwhile.
type sums struct {
	pair    sha256x2.Pair
	records []byte // that are not hashed yet, as they are hashed
	chunk   []byte // records that are being hashed
	hashed  int    // bytes of the file that are hashed, or being hashed
	busy    sync.WaitGroup
}

// reset starts new sums.
func (s *sums) reset() {
	s.wait()
	s.pair.Reset()
	s.records, s.hashed = s.records[:0], 0
}

// wait waits until nothing reads the memory of the file any more.
func (s *sums) wait() { s.busy.Wait() }

// place is where a record is in records.
type place struct{ record, value int }

// begin appends the key of a record and the length of its value, which the caller
// appends to records.
func (s *sums) begin(key []byte, value int) place {
	at := place{record: len(s.records)}
	s.records = appendLength(appendHashInput(s.records, key), value)
	at.value = len(s.records)
	return at
}

// drop takes back a record that was begun.
func (s *sums) drop(at place) { s.records = s.records[:at.record] }

// end ends a record that was begun; file is the file so far, whose bytes stay as they are.
func (s *sums) end(file []byte) {
	s.records = append(s.records, '|')
	if len(s.records) < chunk {
		return
	}
	s.wait()
	s.chunk, s.records = s.records, s.chunk[:0]
	fresh := file[s.hashed:]
	s.hashed = len(file)
	s.busy.Go(func() { s.pair.Write(s.chunk, fresh) })
}

// finish returns the hash of the records and the properties after them, and that of the
// file.
func (s *sums) finish(properties, file []byte) (records, whole [sha256x2.Size]byte) {
	s.wait()
	s.pair.Write(append(s.records, properties...), file[s.hashed:])
	return s.pair.Sums()
}

// appendHashInput appends a key or a value in the form in which an ID is the hash of it.
func appendHashInput(dst, b []byte) []byte {
	return append(append(appendLength(dst, len(b)), b...), '|')
}

// appendLength is strconv.AppendInt, inlined for lengths of up to three digits, which
// nearly all have.
func appendLength(dst []byte, n int) []byte {
	a, b, c := byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10)
	switch {
	case n < 10:
		return append(dst, c)
	case n < 100:
		return append(dst, b, c)
	case n < 1000:
		return append(dst, a, b, c)
	}
	return strconv.AppendInt(dst, int64(n), 10)
}
