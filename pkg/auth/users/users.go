// Package users stores who may call the API: users, their access keys, and their sessions.
//
// All that makes a user known is one record, which changes by compare-and-swap only. So a key
// or a session ends at the same moment as the record that names it, and no crash leaves one
// that outlives its user. The keys of the bucket are
//
//	u.<user>               the record of a user
//	k.<access key>.<user>  whose record to look at for an access key; it proves nothing
//
// Errors that the caller can correct are faults. Any other error says that the bucket could
// not be read or written: then nobody is known.
package users

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth/recent"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// maxRevoked is the number of revoked sessions of a user that are remembered.
const maxRevoked = 200

// SourceLocal is the source of users that an administrator created.
const SourceLocal = "internal"

// User is somebody who may call the API.
type User struct {
	ID      string    `json:"id"`      // as in access.Caller
	Source  string    `json:"source"`  // SourceLocal, or the access.Provider that vouches for the user
	Created time.Time `json:"created"` // whole seconds, UTC
}

// record is a user as it is stored.
type record struct {
	User
	Era      string      `json:"era"` // begins the IDs of sessions; a new one revokes all that came before
	Keys     []storedKey `json:"keys,omitempty"`
	Sessions []Session   `json:"sessions,omitempty"`
	Revoked  []string    `json:"revoked,omitempty"` // IDs of sessions of this era, the latest last
	Pair     string      `json:"pair,omitempty"`    // the last access key that Adopt added
	Until    time.Time   `json:"until,omitzero"`    // of a provider's user: when all sessions so far have expired
}

// Config is what a store is made of. All fields but Configured and Busy are required.
type Config struct {
	Bucket kv.Bucket
	Now    func() time.Time
	// Configured is the access key of the settings, if there is one. It is the
	// administrator's, and takes the place of the one that Adopt added.
	Configured *Secret
	// Busy returns the users who began something that still runs, and that Stands is asked about.
	// Sweep keeps their records. The default is that there are none.
	Busy func(context.Context) (map[string]bool, error)
}

// Secret is an access key with the digest of its secret.
type Secret struct {
	AccessKeyID string
	Digest      [32]byte // SHA-256
}

// Store holds the users. Its methods may be called concurrently, by any number of processes.
//
// Unless a method says otherwise, what it returns may have changed since, but at most
// recent.MaxAge ago, and not through the same store. What it lists may be older while NATS elects a leader.
type Store struct {
	cfg    Config
	recent *recent.Cache[record]
	index  index
}

// New returns the users in a bucket, which may hold other keys, too.
func New(c Config) *Store {
	s := &Store{cfg: c, index: index{bucket: c.Bucket}}
	s.recent = recent.New(recent.Config[record]{Now: c.Now, Most: maxRecent, Read: func(ctx context.Context, id string) (record, error) {
		r, _, err := s.read(ctx, id)
		return r, err
	}})
	return s
}

// maxRecent is the number of records that are remembered: at most about 30 MB, if all have all the
// keys and sessions that they may have.
const maxRecent = 1000

const (
	userPrefix = "u."
	keyPrefix  = "k."
)

// userKey encodes the name: keys have fewer characters than names. The order of names stays.
func userKey(id string) string { return userPrefix + hex.EncodeToString([]byte(id)) }

// decode returns a function that decodes the record of a user, as a bucket's Get returned it.
// It returns the revision of a record that cannot be decoded, too, and a Broken fault.
func decode(id string) func(value []byte, rev uint64, err error) (record, uint64, error) {
	return func(value []byte, rev uint64, err error) (r record, _ uint64, _ error) {
		if err != nil {
			return record{}, 0, err
		}
		err = json.Unmarshal(value, &r)
		if err == nil && r.ID != id {
			err = fmt.Errorf("it is that of user %q", r.ID)
		}
		if err != nil {
			return record{}, rev, fault.Unreadable(kv.BucketAuth, userKey(id), err)
		}
		return r, rev, nil
	}
}

// read returns the record that a user has at some moment since the call, and its revision. The
// error is kv.ErrNotFound, a Broken fault, or another one.
func (s *Store) read(ctx context.Context, id string) (record, uint64, error) {
	return decode(id)(s.cfg.Bucket.GetLinearized(ctx, userKey(id)))
}

// look returns the record of a user, which while NATS elects a leader may be an older one.
func (s *Store) look(ctx context.Context, id string) (record, error) {
	r, _, err := decode(id)(s.cfg.Bucket.Get(ctx, userKey(id)))
	return r, err
}

// Get returns a user, or a NotFound fault.
func (s *Store) Get(ctx context.Context, id string) (User, error) {
	r, err := s.get(ctx, id)
	return r.User, err
}

func (s *Store) get(ctx context.Context, id string) (record, error) {
	if !possible(id) {
		return record{}, missingUser()
	}
	r, err := s.recent.Get(ctx, id)
	if errors.Is(err, kv.ErrNotFound) { // it may be new
		r, err = s.recent.GetNewer(ctx, id)
	}
	return r, found(err)
}

// search calls match with the record of a user: with the one that is remembered, and unless
// match returns true, with the newest, which another process may have changed a moment ago. It
// returns what match returned, or false if there is no such user.
func (s *Store) search(ctx context.Context, id string, match func(record) bool) (bool, error) {
	for _, get := range []func(context.Context, string) (record, error){s.recent.Get, s.recent.GetNewer} {
		r, err := get(ctx, id)
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return false, err
		}
		if err == nil && match(r) {
			return true, nil
		}
	}
	return false, nil
}

func missingUser() error { return fault.Missing("user") }

// found makes kv.ErrNotFound a NotFound fault.
func found(err error) error {
	if errors.Is(err, kv.ErrNotFound) {
		return missingUser()
	}
	return err
}

// Create stores a user without keys. It is a Conflict fault if there is one of that name.
func (s *Store) Create(ctx context.Context, id, source string) (User, error) {
	if err := check(id, source); err != nil {
		return User{}, fault.BadField("id", "%q is not a valid name of a user: %v", id, err)
	}
	keys, err := s.cfg.Bucket.Keys(ctx, userPrefix)
	if err != nil {
		return User{}, fmt.Errorf("count users: %w", err)
	}
	if len(keys) >= limits.Users {
		return User{}, fault.Conflicting("there are %d users, and no more are allowed: delete some", len(keys))
	}
	r := s.newRecord(id, source)
	err = s.create(ctx, r)
	if errors.Is(err, kv.ErrConflict) {
		return User{}, fault.Conflicting("user %q exists already", id)
	}
	return r.User, err
}

// check returns an error if a name is none of users of the source.
func check(id, source string) error {
	switch {
	case !possible(id):
		return fmt.Errorf("want 1 to %d bytes", maxName)
	case source == SourceLocal:
		return access.CheckLocalUser(id)
	case !strings.HasPrefix(id, source+":"):
		return fmt.Errorf("want one that starts with %q", source+":")
	}
	return nil
}

// maxName is the length in bytes of the longest name of a user, which access.ExternalUser
// returns.
const maxName = 5 + 3*(limits.Issuer+1+limits.Name)

// possible reports whether there can be a user of a name.
func possible(id string) bool { return id != "" && len(id) <= maxName }

func (s *Store) newRecord(id, source string) record {
	return record{User: User{ID: id, Source: source, Created: s.cfg.Now().UTC().Truncate(time.Second)}, Era: newEra()}
}

const eraSize = 10

func newEra() string { return rand.Text()[:eraSize] }

func (s *Store) create(ctx context.Context, r record) error {
	defer s.recent.Changed()
	value, err := json.Marshal(r)
	if err == nil {
		_, err = s.cfg.Bucket.Create(ctx, userKey(r.ID), value)
	}
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	return nil
}

// change replaces the record of a user by what f makes of it. If f returns an error, so does
// change, and nothing is written.
func (s *Store) change(ctx context.Context, id string, f func(r *record) error) error {
	if !possible(id) {
		return missingUser()
	}
	defer s.recent.Changed()
	return kv.RetryConflicts(ctx, func() error {
		r, rev, err := s.read(ctx, id)
		if err != nil {
			return found(err)
		}
		if err := f(&r); err != nil {
			return err
		}
		value, err := json.Marshal(r)
		if err == nil {
			_, err = s.cfg.Bucket.Update(ctx, userKey(id), value, rev)
		}
		return err
	})
}

// Delete removes a user. Its keys and sessions end at the same moment, as its record names
// them. The administrator cannot be deleted.
func (s *Store) Delete(ctx context.Context, id string) error {
	if id == access.Admin {
		return fault.Conflicting("user %q cannot be deleted", id)
	}
	if !possible(id) {
		return missingUser()
	}
	var last record
	err := kv.RetryConflicts(ctx, func() error {
		r, rev, err := s.read(ctx, id)
		if err != nil && !fault.Is(err, fault.Broken) { // a user whose record cannot be decoded can be deleted
			return found(err)
		}
		last = r
		return s.cfg.Bucket.Delete(ctx, userKey(id), rev)
	})
	s.recent.Changed()
	if err != nil {
		return err
	}
	for _, k := range last.Keys {
		_ = s.index.remove(ctx, k.ID, id) // Sweep removes what is left
	}
	return nil
}

// List returns the users whose names start with the prefix and follow after, in order: at
// most `amount`, which is at least 1, and whether there are more. A user whose record cannot
// be decoded has only an ID.
func (s *Store) List(ctx context.Context, prefix, after string, amount int) (page []User, more bool, err error) {
	names, err := s.names(ctx, prefix)
	if err != nil {
		return nil, false, err
	}
	for _, id := range names {
		if id <= after {
			continue
		}
		if len(page) == amount {
			return page, true, nil
		}
		r, err := s.look(ctx, id)
		switch {
		case errors.Is(err, kv.ErrNotFound):
			continue
		case fault.Is(err, fault.Broken):
			r.User = User{ID: id}
		case err != nil:
			return nil, false, err
		}
		page = append(page, r.User)
	}
	return page, false, nil
}

// names returns the names of all users with the prefix, in order.
func (s *Store) names(ctx context.Context, prefix string) ([]string, error) {
	keys, err := s.cfg.Bucket.Keys(ctx, userKey(prefix))
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		name, err := hex.DecodeString(strings.TrimPrefix(key, userPrefix))
		if err == nil {
			names = append(names, string(name))
		}
	}
	return names, nil
}
