package users

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/kv"
)

// keyStart begins the access keys that are made here.
const keyStart = "RF"

const maxKeyID = 128 // bytes

const maxIndexed = 10_000 // access keys that are remembered, about 2 MB

// index tells whose an access key is. What it says never changes, so that it can be remembered,
// but a key that it knows may have been revoked.
type index struct {
	bucket kv.Bucket

	mu    sync.Mutex
	known map[string]string // users by access keys
}

// indexKeys starts the keys of an access key. The user is part of the key, so that one listing
// tells that there is none: it is no write, unlike a Get of a missing key. Clients that guess
// access keys cause nothing else.
func indexKeys(accessKeyID string) string {
	return keyPrefix + hex.EncodeToString([]byte(accessKeyID)) + "."
}

func indexKey(accessKeyID, user string) string {
	return indexKeys(accessKeyID) + hex.EncodeToString([]byte(user))
}

// isOf reports whether a key of the index is of an access key of the user.
func isOf(key, user string) bool {
	return strings.HasSuffix(key, "."+hex.EncodeToString([]byte(user)))
}

// user returns the user of an access key, "" if there is none.
func (x *index) user(ctx context.Context, accessKeyID string) (string, error) {
	if accessKeyID == "" || len(accessKeyID) > maxKeyID {
		return "", nil
	}
	if user := x.remembered(accessKeyID); user != "" {
		return user, nil
	}
	keys, err := x.bucket.Keys(ctx, indexKeys(accessKeyID))
	if err != nil {
		return "", fmt.Errorf("find access key: %w", err)
	}
	if len(keys) != 1 {
		return "", nil
	}
	name, _ := hex.DecodeString(strings.TrimPrefix(keys[0], indexKeys(accessKeyID))) // of a wrong one there is no record
	x.remember(accessKeyID, string(name))
	return string(name), nil
}

// remembered returns the user of an access key, "" if it is not remembered.
func (x *index) remembered(accessKeyID string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.known[accessKeyID]
}

func (x *index) remember(accessKeyID, user string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.known) >= maxIndexed || x.known == nil {
		x.known = make(map[string]string)
	}
	x.known[accessKeyID] = user
}

func (x *index) forget(accessKeyID string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.known, accessKeyID)
}

// add stores whose an access key is, unless that is stored.
func (x *index) add(ctx context.Context, key Key, user string) error {
	if key.ID == "" || len(key.ID) > maxKeyID {
		return fmt.Errorf("an access key of %d bytes, want 1 to %d", len(key.ID), maxKeyID)
	}
	_, err := x.bucket.Create(ctx, indexKey(key.ID, user), []byte(key.Created.UTC().Format(time.RFC3339)))
	if errors.Is(err, kv.ErrConflict) {
		return nil
	}
	return err
}

// remove removes an access key that is revoked.
func (x *index) remove(ctx context.Context, accessKeyID, user string) error {
	return x.sweep(ctx, indexKey(accessKeyID, user), time.Time{})
}

// sweep removes a key of the index if its access key was made before a time, or that time is
// zero.
func (x *index) sweep(ctx context.Context, key string, before time.Time) error {
	value, rev, err := x.bucket.Get(ctx, key)
	if err == nil {
		made, decodeErr := time.Parse(time.RFC3339, string(value))
		if decodeErr == nil && !before.IsZero() && !made.Before(before) {
			return nil
		}
		err = x.bucket.Delete(ctx, key, rev)
	}
	if errors.Is(err, kv.ErrNotFound) || errors.Is(err, kv.ErrConflict) {
		return nil
	}
	return err
}
