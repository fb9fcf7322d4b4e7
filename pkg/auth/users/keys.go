package users

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Key is an access key, without its secret.
type Key struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"` // whole seconds, UTC; zero for the key that Adopt added
}

// storedKey is a key as it is stored.
type storedKey struct {
	Key
	// Digest is the SHA-256 of the secret, which has 160 random bits, so that a digest
	// without salt reveals nothing.
	Digest []byte `json:"secret_sha256"`
}

// Keys are the access keys of users. Its methods may be called concurrently, by any number of
// processes.
type Keys struct{ store *Store }

// Keys returns the access keys of the users of the store.
func (s *Store) Keys() Keys { return Keys{s} }

// Authenticate returns the user of an access key, "" if there is no such key, and whether the
// secret is that of the key. The comparison takes constant time.
func (k Keys) Authenticate(ctx context.Context, accessKeyID, secret string) (user string, ok bool, err error) {
	user, digest, err := k.find(ctx, accessKeyID)
	if err != nil {
		return "", false, err
	}
	shown := sha256.Sum256([]byte(secret))
	equal := subtle.ConstantTimeCompare(shown[:], digest[:])
	return user, user != "" && equal == 1, nil
}

// Known reports whether an access key was used since the process started. It does not say whether
// the key is still valid, and asks nobody.
func (k Keys) Known(accessKeyID string) bool {
	return k.configured(accessKeyID) || k.store.index.remembered(accessKeyID) != ""
}

// Exists reports whether a user has an access key at some moment since the call.
func (k Keys) Exists(ctx context.Context, user, accessKeyID string) (bool, error) {
	if k.configured(accessKeyID) {
		return user == access.Admin, nil
	}
	if !possible(user) {
		return false, nil
	}
	r, _, err := k.store.read(ctx, user)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	_, ok := k.in(r, accessKeyID)
	return ok, err
}

// find returns the user of an access key, "" if there is none, and the digest of its secret.
func (k Keys) find(ctx context.Context, accessKeyID string) (user string, digest [sha256.Size]byte, err error) {
	if k.configured(accessKeyID) {
		return access.Admin, k.store.cfg.Configured.Digest, nil
	}
	user, err = k.store.index.user(ctx, accessKeyID)
	if err != nil || user == "" {
		return "", digest, err
	}
	ok, err := k.store.search(ctx, user, func(r record) bool {
		stored, ok := k.in(r, accessKeyID)
		copy(digest[:], stored.Digest)
		return ok && len(stored.Digest) == len(digest)
	})
	if err != nil || !ok {
		k.store.index.forget(accessKeyID) // it is revoked: the next time, the index tells
		return "", digest, err
	}
	return user, digest, nil
}

// in returns the access key of a record that has it, unless the settings have taken its place.
func (k Keys) in(r record, accessKeyID string) (storedKey, bool) {
	if k.replaced(r, accessKeyID) {
		return storedKey{}, false
	}
	i := slices.IndexFunc(r.Keys, func(s storedKey) bool { return s.ID == accessKeyID })
	if i < 0 {
		return storedKey{}, false
	}
	return r.Keys[i], true
}

// replaced reports whether the settings have taken the place of an access key of a record. It is
// valid again once they have none.
func (k Keys) replaced(r record, accessKeyID string) bool {
	return k.store.cfg.Configured != nil && accessKeyID == r.Pair
}

// markStart begins the mark of an access key in the ID of a session.
const markStart = "."

// mark returns what the ID of a session ends with that is begun with an access key of a record:
// it tells the key from all others, and from none. So the ID alone says whether what was begun
// with the session may go on, after the session has ended. ok is false if there is no such key.
// Nothing of a secret is in it: IDs are in records that workers read, and a secret of the settings
// may be one that can be guessed.
func (k Keys) mark(r record, accessKeyID string) (mark string, ok bool) {
	if accessKeyID == "" {
		return "", true
	}
	const size = 10 // bytes
	sum := sha256.Sum256([]byte(accessKeyID))
	return markStart + hex.EncodeToString(sum[:size]), k.valid(r, accessKeyID)
}

// valid reports whether a record, or the settings, have an access key.
func (k Keys) valid(r record, accessKeyID string) bool {
	_, ok := k.in(r, accessKeyID)
	return ok || r.ID == access.Admin && k.configured(accessKeyID)
}

// marked reports whether a record, or the settings, have the access key that the ID of a session
// names, or it names none.
func (k Keys) marked(r record, session string) bool {
	at := strings.Index(session, markStart)
	if at < 0 {
		return true
	}
	has := func(accessKeyID string) bool {
		mark, ok := k.mark(r, accessKeyID)
		return ok && mark == session[at:]
	}
	return k.store.cfg.Configured != nil && has(k.store.cfg.Configured.AccessKeyID) ||
		slices.ContainsFunc(r.Keys, func(s storedKey) bool { return has(s.ID) })
}

func (k Keys) configured(accessKeyID string) bool {
	c := k.store.cfg.Configured
	return c != nil && subtle.ConstantTimeCompare([]byte(c.AccessKeyID), []byte(accessKeyID)) == 1
}

// Create makes an access key for a user, and returns it with its secret, which cannot be
// retrieved again. It is a Conflict fault if the user has limits.AccessKeys.
func (k Keys) Create(ctx context.Context, user string) (Key, string, error) {
	if _, err := k.store.Get(ctx, user); err != nil {
		return Key{}, "", err
	}
	key := Key{ID: keyStart + rand.Text()[:18], Created: k.store.cfg.Now().UTC().Truncate(time.Second)}
	secret := rand.Text() + rand.Text()[:6]
	digest := sha256.Sum256([]byte(secret))
	if err := k.store.index.add(ctx, key, user); err != nil { // before the record, which makes it valid
		return Key{}, "", fmt.Errorf("create access key: %w", err)
	}
	err := k.store.change(ctx, user, func(r *record) error {
		if _, ok := k.in(*r, key.ID); ok {
			return nil // by an earlier round whose answer was lost
		}
		if len(r.Keys) >= limits.AccessKeys {
			return fault.Conflicting("user %q has %d access keys, and no more are allowed: delete one", user, len(r.Keys))
		}
		r.Keys = append(r.Keys, storedKey{key, digest[:]})
		return nil
	})
	if err != nil {
		return Key{}, "", err // Sweep removes the key of the index
	}
	return key, secret, nil
}

// List returns the access keys of a user, the oldest first. Neither the key of the settings is
// among them, nor the one whose place it has taken.
func (k Keys) List(ctx context.Context, user string) ([]Key, error) {
	r, err := k.store.get(ctx, user)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, 0, len(r.Keys))
	for _, s := range r.Keys {
		if !k.replaced(r, s.ID) {
			keys = append(keys, s.Key)
		}
	}
	return keys, nil
}

// Delete revokes an access key of a user, and the sessions that were begun with it. It is a Conflict fault for the last key of the
// administrator, whom no other could let in again, and for the key of the settings.
func (k Keys) Delete(ctx context.Context, user, accessKeyID string) error {
	if user == access.Admin && k.configured(accessKeyID) {
		return fault.Conflicting("access key %q cannot be deleted: it is that of the setting auth.access_key_id", accessKeyID)
	}
	err := k.store.change(ctx, user, func(r *record) error {
		switch removed := r.revokeKey(accessKeyID); {
		case !removed:
			return fault.Missing("access key")
		case len(r.Keys) == 0 && user == access.Admin && k.store.cfg.Configured == nil:
			return fault.Conflicting("access key %q is the last one of user %q: create another one first", accessKeyID, user)
		}
		return nil
	})
	if err == nil {
		_ = k.store.index.remove(ctx, accessKeyID, user) // Sweep removes what is left
	}
	return err
}

// Adopt makes an access key, which is stored elsewhere, one of the administrator's, unless
// it was adopted before. The administrator's record is created if there is none. An empty key
// is not adopted.
func (s *Store) Adopt(ctx context.Context, key Secret) error {
	err := s.create(ctx, s.newRecord(access.Admin, SourceLocal))
	if err != nil && !errors.Is(err, kv.ErrConflict) {
		return err
	}
	if key.AccessKeyID == "" {
		return nil
	}
	if err := s.index.add(ctx, Key{ID: key.AccessKeyID, Created: s.cfg.Now().UTC()}, access.Admin); err != nil {
		return fmt.Errorf("adopt access key: %w", err)
	}
	return s.change(ctx, access.Admin, func(r *record) error {
		if r.Pair == key.AccessKeyID {
			return nil
		}
		r.revokeKey(r.Pair)
		r.Keys = append(r.Keys, storedKey{Key{ID: key.AccessKeyID}, key.Digest[:]})
		r.Pair = key.AccessKeyID
		return nil
	})
}
