package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// reads is how often damaged bytes are read: they may have been damaged on their way.
// Bytes that are damaged in the same way twice are stored like that.
const reads = 3

// damagedOnTheWay returns the error for bytes that were damaged differently each time.
// A later read may succeed, so it is not ErrCorrupt.
func damagedOnTheWay(err error) error {
	return fmt.Errorf("read %d times, damaged differently each time: %v", reads, err) //nolint:errorlint // see above
}

// Load gets the whole file of the table with an ID and verifies it. It passes on errors
// of get.
func Load(ctx context.Context, id string, get func(context.Context) ([]byte, error)) ([]byte, error) {
	var before []byte
	for try := 1; ; try++ {
		data, err := get(ctx)
		if err != nil {
			return nil, err
		}
		err = Verify(ctx, id, data)
		if err == nil {
			return data, nil
		}
		if !errors.Is(err, ErrCorrupt) || bytes.Equal(data, before) {
			return nil, err
		}
		if try == reads {
			return nil, damagedOnTheWay(err)
		}
		before = data
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

// Verify reads all records and makes sure that they are those of the table with that
// ID.
func (r *Reader) Verify(ctx context.Context, id string) error {
	for _, err := range r.All(ctx, id) {
		if err != nil {
			return err
		}
	}
	return nil
}
