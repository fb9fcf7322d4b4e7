package users

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// unfinished is how long after it was made an access key may lack the record that makes it
// valid.
const unfinished = time.Hour

// Sweep removes sessions that have expired, and what interrupted calls left of access keys,
// where it is of no use. It may be called at any time, and in any number of processes.
func (s *Store) Sweep(ctx context.Context) error {
	names, err := s.names(ctx, "")
	if err != nil {
		return err
	}
	valid := make(map[string]bool) // keys of the index
	kept, err := s.cfg.Bucket.Keys(ctx, keyPrefix)
	if err != nil {
		return fmt.Errorf("list access keys: %w", err)
	}
	for _, id := range names {
		r, err := s.look(ctx, id)
		switch {
		case errors.Is(err, kv.ErrNotFound):
			continue
		case fault.Is(err, fault.Broken): // which keys it has is not known
			kept = slices.DeleteFunc(kept, func(key string) bool { return isOf(key, id) })
			continue
		case err != nil:
			return fmt.Errorf("read user: %w", err)
		}
		for _, k := range r.Keys {
			valid[indexKey(k.ID, id)] = true
		}
		if err := s.expire(ctx, r); err != nil {
			return err
		}
	}
	for _, key := range kept {
		if !valid[key] {
			if err := s.index.sweep(ctx, key, s.cfg.Now().Add(-unfinished)); err != nil {
				return fmt.Errorf("remove access key: %w", err)
			}
		}
	}
	return nil
}

// expire removes the sessions of a record that have expired.
func (s *Store) expire(ctx context.Context, r record) error {
	now := s.cfg.Now()
	if len(live(r.Sessions, now)) == len(r.Sessions) {
		return nil
	}
	err := s.change(ctx, r.ID, func(r *record) error {
		r.Sessions = live(r.Sessions, now)
		return nil
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
