package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// reads is how often something is read that turns out to be damaged: bytes may go
// wrong on their way. What comes damaged in the same way twice is stored so.
const reads = 3

// damagedOnTheWay returns the error of what came damaged in another way each time:
// it may come right later, so it is not ErrCorrupt.
func damagedOnTheWay(err error) error {
	return fmt.Errorf("read %d times, damaged differently each time: %v", reads, err) //nolint:errorlint // see above
}

// Load gets the file of the table of an ID whole, and verifies it. Errors of get
// are passed on.
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

// Verify makes sure that data is the file of the table of that ID.
func Verify(ctx context.Context, id string, data []byte) error {
	r, err := NewReader(data)
	if err != nil {
		return err
	}
	return r.Verify(ctx, id)
}

// Verify reads all records and makes sure that they are those of the table of that
// ID.
func (r *Reader) Verify(ctx context.Context, id string) error {
	for _, err := range r.All(ctx, id) {
		if err != nil {
			return err
		}
	}
	return nil
}
