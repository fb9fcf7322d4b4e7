// Package once remembers, for all coordinators, what may be used only once: the answers of
// identity providers to logins.
package once

import (
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

// Store is what was used. Its methods may be called concurrently, by any number of processes.
type Store struct {
	bucket kv.Bucket
	now    func() time.Time
}

// New returns what was used, in a bucket that may hold other keys, too.
func New(bucket kv.Bucket, now func() time.Time) *Store { return &Store{bucket, now} }

// Use reports whether something is used for the first time. Of several calls, in any processes,
// one gets true. It is remembered until a time, and from then on it is never the first time. An
// error says that this cannot be known now: it must not be used then.
//
// Each use is stored, so that callers must not let strangers choose what they use.
func (s *Store) Use(ctx context.Context, what string, until time.Time) (first bool, err error) {
	if !s.now().Before(until) {
		return false, nil
	}
	digest := sha256.Sum256([]byte(what))
	_, err = s.bucket.Create(ctx, prefix+hex.EncodeToString(digest[:]), []byte(until.UTC().Format(time.RFC3339Nano)))
	if errors.Is(err, kv.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("remember a login: %w", err)
	}
	return true, nil
}

// Sweep forgets what is refused by its time alone. It may be called at any time, and in any
// number of processes.
func (s *Store) Sweep(ctx context.Context) error {
	keys, err := s.bucket.Keys(ctx, prefix)
	if err != nil {
		return fmt.Errorf("list used logins: %w", err)
	}
	for _, key := range keys {
		if err := s.forget(ctx, key); err != nil && !errors.Is(err, kv.ErrNotFound) && !errors.Is(err, kv.ErrConflict) {
			return fmt.Errorf("forget a used login: %w", err)
		}
	}
	return nil
}

// margin is how long after its time something is still remembered, for coordinators whose clocks
// are behind.
const margin = 10 * time.Minute

func (s *Store) forget(ctx context.Context, key string) error {
	value, revision, err := s.bucket.Get(ctx, key)
	if err != nil {
		return err
	}
	until, err := time.Parse(time.RFC3339Nano, string(value))
	if err == nil && s.now().Before(until.Add(margin)) {
		return nil
	}
	return s.bucket.Delete(ctx, key, revision)
}
