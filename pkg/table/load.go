package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// reads is how often damaged bytes are read: they may have been damaged on their way.
const reads = 3

// errUnsteady says that bytes were damaged differently each time: a later read may succeed, so
// it does not go with ErrCorrupt.
var errUnsteady = errors.New("damaged differently each time")

// rereads counts how often bytes were read and found damaged.
type rereads struct {
	count  int
	before []byte // as they were read last
}

// again returns nil if data, in which err was found, is to be read again, and else the error
// to return. renew makes the next read get the bytes anew, if it can.
func (r *rereads) again(data []byte, err error, renew func() bool) error {
	damaged := errors.Is(err, ErrCorrupt) || errors.Is(err, errUnsteady)
	if !damaged || bytes.Equal(data, r.before) || !renew() {
		return err // bytes that are damaged in the same way twice are stored like that
	}
	r.before = data
	if r.count++; r.count < reads {
		return nil
	}
	return fmt.Errorf("read %d times, %w: %v", reads, errUnsteady, err) //nolint:errorlint // must not wrap ErrCorrupt
}

// Load gets the whole file of the table with an ID and verifies it. It passes on errors
// of get.
func Load(ctx context.Context, id string, get func(context.Context) ([]byte, error)) ([]byte, error) {
	var tries rereads
	for {
		data, err := get(ctx)
		if err != nil {
			return nil, err
		}
		if err = Verify(ctx, id, data); err == nil {
			return data, nil
		}
		if err = tries.again(data, err, func() bool { return true }); err != nil {
			return nil, err
		}
	}
}

// Verify makes sure that data is the file of the table with that ID.
func Verify(ctx context.Context, id string, data []byte) error {
	r, err := NewReader(data)
	if err != nil {
		return err
	}
	return r.Verify(ctx, id)
}

// Verify reads all records and makes sure that they are those of the table with that ID.
func (r *Reader) Verify(ctx context.Context, id string) error {
	for _, err := range r.All(ctx, id) {
		if err != nil {
			return err
		}
	}
	return nil
}
