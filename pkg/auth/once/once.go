// Package once remembers, for all coordinators, what may be used only once: the answers of
// identity providers to logins.
package once

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/kv"
)

// prefix starts the keys of the bucket. The digest of what was used follows.
const prefix = "used."

// Store is what was used. Its methods may be called concurrently, by any number of processes. An
// error of theirs says that it cannot be known now whether something was used: it must not be
// used then.
//
// Each use is stored, so that callers must not let strangers choose what they use.
type Store struct {
	bucket kv.Bucket
	now    func() time.Time
}

// New returns what was used, in a bucket that may hold other keys, too.
func New(bucket kv.Bucket, now func() time.Time) *Store { return &Store{bucket, now} }

// record is what is stored of a use.
type record struct {
	until time.Time
	left  []byte // for Take; nil if nothing was left, or it was taken
}

// encode returns the time, and what was left, if anything, on a line of its own.
func (r record) encode() []byte {
	text := []byte(r.until.UTC().Format(time.RFC3339Nano))
	if r.left == nil {
		return text
	}
	return append(append(text, '\n'), r.left...)
}

func decode(value []byte) (r record, err error) {
	text, left, ok := bytes.Cut(value, []byte{'\n'})
	if r.until, err = time.Parse(time.RFC3339Nano, string(text)); err != nil {
		return record{}, fmt.Errorf("the time of a login: %w", err)
	}
	if ok {
		r.left = left
	}
	return r, nil
}

func keyOf(what string) string {
	digest := sha256.Sum256([]byte(what))
	return prefix + hex.EncodeToString(digest[:])
}

// Use reports whether something is used for the first time. Of several calls of Use and Leave, in any
// processes, one gets true. It is remembered until a time, and from then on it is never the first
// time.
func (s *Store) Use(ctx context.Context, what string, until time.Time) (first bool, err error) {
	return s.use(ctx, what, record{until: until})
}

// Leave is Use, and leaves a value that Take returns until that time.
func (s *Store) Leave(ctx context.Context, what string, value []byte, until time.Time) (first bool, err error) {
	return s.use(ctx, what, record{until, append([]byte{}, value...)})
}

func (s *Store) use(ctx context.Context, what string, r record) (first bool, err error) {
	if !s.now().Before(r.until) {
		return false, nil
	}
	_, err = s.bucket.Create(ctx, keyOf(what), r.encode())
	if errors.Is(err, kv.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("remember a login: %w", err)
	}
	return true, nil
}

// Take returns the value that Leave left with something. Of several calls, in any processes, one gets
// it. For the others, and if nothing was left, ok is false.
func (s *Store) Take(ctx context.Context, what string) (value []byte, ok bool, err error) {
	stored, revision, err := s.bucket.GetLinearized(ctx, keyOf(what))
	if errors.Is(err, kv.ErrNotFound) {
		return nil, false, nil
	}
	var r record
	if err == nil {
		r, err = decode(stored)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read a login: %w", err)
	}
	if r.left == nil || !s.now().Before(r.until) {
		return nil, false, nil
	}
	_, err = s.bucket.Update(ctx, keyOf(what), record{until: r.until}.encode(), revision)
	if errors.Is(err, kv.ErrConflict) || errors.Is(err, kv.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("finish a login: %w", err)
	}
	return r.left, true, nil
}

// Sweep forgets what is refused by its time alone. It may be called at any time, and in any
// number of processes.
func (s *Store) Sweep(ctx context.Context) error {
	current := func(value []byte) (time.Time, error) {
		r, err := decode(value)
		return r.until, err
	}
	return errors.Join(s.sweep(ctx, prefix, current), s.sweep(ctx, formerPrefix, formerEnd))
}

// sweep forgets the records with a prefix whose time, as a function returns it, is over.
func (s *Store) sweep(ctx context.Context, prefix string, end func(value []byte) (time.Time, error)) error {
	keys, err := s.bucket.Keys(ctx, prefix)
	if err != nil {
		return fmt.Errorf("list used logins: %w", err)
	}
	for _, key := range keys {
		if err := s.forget(ctx, key, end); err != nil && !errors.Is(err, kv.ErrNotFound) && !errors.Is(err, kv.ErrConflict) {
			return fmt.Errorf("forget a used login: %w", err)
		}
	}
	return nil
}

// margin is how long after its time something is still remembered, for coordinators whose clocks
// are behind.
const margin = 10 * time.Minute

func (s *Store) forget(ctx context.Context, key string, end func(value []byte) (time.Time, error)) error {
	value, revision, err := s.bucket.Get(ctx, key)
	if err != nil {
		return err
	}
	until, err := end(value)
	if err == nil && s.now().Before(until.Add(margin)) {
		return nil
	}
	return s.bucket.Delete(ctx, key, revision)
}
