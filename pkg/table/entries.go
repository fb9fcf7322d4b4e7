package table

import (
	"bytes"
	"encoding/binary"
	"sort"
)

// entries iterates over the records of blocks, in key order. It trusts no byte of a
// block: it checks every length and offset where it uses it, that keys increase, and that
// restart points are where records begin.
type entries struct {
	trailer int // bytes at the end of each key that do not count for the order

	records  []byte // of the block, one after another
	restarts []byte // offsets of its restart points in records, 4 bytes each
	at       int    // offset of the record after the current one
	restart  int    // number of restart points before at

	key    []byte // of the current record, with its trailer; lives until the next step
	value  []byte // of the current record; a part of records
	before []byte // key of the record before
	begun  bool   // whether there is a current record
}

// load goes before the first record of a block. It keeps the current key: the keys of the
// block must be greater.
func (e *entries) load(block []byte) error {
	const word = 4
	if len(block) < word {
		return corrupt("a block of %d bytes", len(block))
	}
	rest := block[:len(block)-word]
	n := uint64(binary.LittleEndian.Uint32(block[len(rest):]))
	if n == 0 || n > uint64(len(rest)/word) {
		return corrupt("%d restart points in a block of %d bytes", n, len(block))
	}
	end := len(rest) - int(n)*word
	e.records, e.restarts = rest[:end:end], rest[end:]
	e.at, e.restart, e.value = 0, 0, nil
	if first := e.restartAt(0); first != 0 {
		return corrupt("the first restart point is %d", first)
	}
	return nil
}

// empty reports whether the block has no records.
func (e *entries) empty() bool { return len(e.records) == 0 }

func (e *entries) restartCount() int { return len(e.restarts) / 4 }

func (e *entries) restartAt(i int) uint32 { return binary.LittleEndian.Uint32(e.restarts[4*i:]) }

// user returns the current key without its trailer.
func (e *entries) user() []byte { return e.key[:len(e.key)-e.trailer] }

// next goes to the next record of the block, and reports whether there is one.
func (e *entries) next() (bool, error) {
	if e.at == len(e.records) {
		if left := e.restartCount() - e.restart; left > 0 && !e.empty() {
			return false, corrupt("%d restart points are not where records begin", left)
		}
		return false, nil
	}
	rec, err := cutRecord(e.records[e.at:])
	if err != nil {
		return false, corrupt("record at %d: %w", e.at, err)
	}
	if e.restart < e.restartCount() && uint64(e.restartAt(e.restart)) == uint64(e.at) {
		if rec.shared != 0 {
			return false, corrupt("record at %d, a restart point, shares %d bytes", e.at, rec.shared)
		}
		e.restart++
	}
	if rec.shared > len(e.key) {
		return false, corrupt("record at %d shares %d bytes with a key of %d", e.at, rec.shared, len(e.key))
	}
	return true, e.take(rec)
}

// take makes a record that was cut off the current one.
func (e *entries) take(rec cutOff) error {
	if n := rec.shared + len(rec.suffix) - e.trailer; n < 0 || n > maxKey {
		return corrupt("record at %d has a key of %d bytes", e.at, n)
	}
	e.key, e.before = e.before, e.key
	e.key = append(append(e.key[:0], e.before[:rec.shared]...), rec.suffix...)
	e.value = rec.value
	if e.begun {
		last, user := e.before[:len(e.before)-e.trailer], e.user()
		same := min(rec.shared, len(last), len(user))
		if bytes.Compare(user[same:], last[same:]) <= 0 {
			return corrupt("record at %d has key %q, which is not above %q", e.at, user, last)
		}
	}
	e.at += rec.size
	e.begun = true
	return nil
}

// seek goes to the first record of the block whose key is not less than key, and
// reports whether there is one. It forgets the current key.
func (e *entries) seek(key []byte) (bool, error) {
	e.key, e.before, e.begun = e.key[:0], e.before[:0], false
	if e.empty() {
		return false, nil
	}
	var failure error
	after := sort.Search(e.restartCount(), func(i int) bool {
		at, err := e.keyAt(i)
		if err != nil {
			failure = err
		}
		return err != nil || bytes.Compare(at, key) >= 0
	})
	if failure != nil {
		return false, failure
	}
	e.restart = max(0, after-1)
	e.at = int(e.restartAt(e.restart))
	for {
		ok, err := e.next()
		if !ok || err != nil || bytes.Compare(e.user(), key) >= 0 {
			return ok, err
		}
	}
}

// keyAt returns the key at a restart point, without its trailer.
func (e *entries) keyAt(i int) ([]byte, error) {
	at := e.restartAt(i)
	if uint64(at) >= uint64(len(e.records)) {
		return nil, corrupt("restart point %d is %d, where records have %d bytes", i, at, len(e.records))
	}
	rec, err := cutRecord(e.records[at:])
	if err == nil && (rec.shared != 0 || len(rec.suffix) < e.trailer) {
		err = corrupt("a key of %d+%d bytes", rec.shared, len(rec.suffix))
	}
	if err != nil {
		return nil, corrupt("record at restart point %d: %w", at, err)
	}
	return rec.suffix[:len(rec.suffix)-e.trailer], nil
}

// cutOff is an encoded record. Its slices are parts of the block.
type cutOff struct {
	shared        int    // number of first bytes that its key has in common with the key before
	suffix, value []byte // the rest of the key; the value
	size          int    // of the whole record
}

// cutRecord cuts off the record with which b begins.
func cutRecord(b []byte) (cutOff, error) {
	shared, i := binary.Uvarint(b)
	if i <= 0 {
		return cutOff{}, corrupt("no length of what is shared")
	}
	suffix, n := binary.Uvarint(b[i:])
	if n <= 0 {
		return cutOff{}, corrupt("no length of the key")
	}
	i += n
	value, n := binary.Uvarint(b[i:])
	if n <= 0 {
		return cutOff{}, corrupt("no length of the value")
	}
	i += n
	room := uint64(len(b) - i)
	if shared > maxKey+trailerSize || suffix > room || value > room-suffix {
		return cutOff{}, corrupt("key of %d+%d bytes and value of %d, where %d are left", shared, suffix, value, room)
	}
	j, end := i+int(suffix), i+int(suffix+value)
	return cutOff{shared: int(shared), suffix: b[i:j], value: b[j:end:end], size: end}, nil
}
