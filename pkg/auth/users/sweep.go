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
// valid, and how long after the sessions of a user have expired something that was begun with one
// may not be known to Config.Busy.
const unfinished = time.Hour

// Sweep removes sessions that have expired, and what interrupted calls left of access keys, where
// it is of no use. It removes the users of providers who left nothing: the next login makes the same
// user again. It may be called at any time, and in any number of processes.
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
	var idle []string
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
		if s.idle(r) {
			idle = append(idle, id)
		}
	}
	for _, key := range kept {
		if !valid[key] {
			if err := s.index.sweep(ctx, key, s.cfg.Now().Add(-unfinished)); err != nil {
				return fmt.Errorf("remove access key: %w", err)
			}
		}
	}
	return s.removeIdle(ctx, idle)
}

// idle reports whether a record can be made again by the next login of its user, and nothing else is
// lost with it, unless the user is busy.
func (s *Store) idle(r record) bool {
	now := s.cfg.Now()
	unused := func(since time.Time) bool { return !now.Before(since.Add(unfinished)) }
	external := r.Source != SourceLocal && check(r.ID, r.Source) == nil
	return external && len(r.Keys) == 0 && len(live(r.Sessions, now)) == 0 && unused(r.Created) && unused(r.Until)
}

// removeIdle removes those of some users who are idle, unless they are busy. Whoever began something
// did so with a session that had not expired, so that it is known by now.
func (s *Store) removeIdle(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	busy := make(map[string]bool)
	if s.cfg.Busy != nil {
		var err error
		if busy, err = s.cfg.Busy(ctx); err != nil {
			return fmt.Errorf("find the users who are busy: %w", err)
		}
	}
	defer s.recent.Changed()
	for _, id := range ids {
		if busy[id] {
			continue
		}
		r, rev, err := s.read(ctx, id)
		if err == nil && s.idle(r) {
			err = s.cfg.Bucket.Delete(ctx, userKey(id), rev)
		}
		if err != nil && !errors.Is(err, kv.ErrNotFound) && !errors.Is(err, kv.ErrConflict) { // it is used again
			return fmt.Errorf("remove user: %w", err)
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
