package users

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Session is what a login of a user began. Its ID is no secret: it proves nothing without the
// signature or encryption of what carries it.
type Session struct {
	ID      string    `json:"id"`               // letters and digits, of them 260 random bits, and what Keys.mark returns
	Kind    string    `json:"kind"`             // of the login
	Key     string    `json:"key,omitempty"`    // access key that the user logged in with, and whose end is that of the session; "" if there was none
	Groups  []string  `json:"groups,omitempty"` // that the user's identity provider told, as they are named here
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// Login is what a session is begun with.
type Login struct {
	User    string
	Source  string // of the user; "" for any. A user is created if there is none and the source is a provider
	Kind    string
	Key     string
	Groups  []string
	Expires time.Time
}

// Sessions are the sessions of users. Its methods may be called concurrently, by any number
// of processes.
type Sessions struct{ store *Store }

// Sessions returns the sessions of the users of the store.
func (s *Store) Sessions() Sessions { return Sessions{s} }

// Begin stores a session. It ends the oldest one of a user who has limits.Sessions. It is a
// NotFound fault if there is no such user or access key, and a Conflict fault if the user is of
// another source, or would be one too many.
func (s Sessions) Begin(ctx context.Context, l Login) (Session, error) {
	session, err := s.begin(ctx, l)
	if l.Source == "" || l.Source == SourceLocal || !fault.Is(err, fault.NotFound) {
		return session, err
	}
	_, taken := s.store.Create(ctx, l.User, l.Source) // a provider vouches for the user
	if taken != nil && !fault.Is(taken, fault.Conflict) {
		return Session{}, taken
	}
	session, err = s.begin(ctx, l)
	if taken != nil && fault.Is(err, fault.NotFound) { // no other login created it: there are too many users
		return Session{}, taken
	}
	return session, err
}

// begin is Begin for a user who exists.
func (s Sessions) begin(ctx context.Context, l Login) (Session, error) {
	now := s.store.cfg.Now().UTC()
	session := Session{Kind: l.Kind, Key: l.Key, Groups: l.Groups, Created: now, Expires: l.Expires.UTC()}
	secret := rand.Text() + rand.Text()
	err := s.store.change(ctx, l.User, func(r *record) error {
		if l.Source != "" && r.Source != l.Source {
			return fault.Conflicting("user %q exists already", l.User)
		}
		mark, ok := s.store.Keys().mark(*r, l.Key)
		if !ok {
			return fault.Missing("access key")
		}
		session.ID = r.Era + secret + mark
		r.Sessions = append(live(r.Sessions, now), session)
		r.Sessions = r.Sessions[max(0, len(r.Sessions)-limits.Sessions):]
		if r.Source != SourceLocal && session.Expires.After(r.Until) {
			r.Until = session.Expires
		}
		return nil
	})
	return session, err
}

// live returns the sessions that have not expired, in memory of their own.
func live(sessions []Session, now time.Time) []Session {
	return slices.DeleteFunc(slices.Clone(sessions), func(s Session) bool { return !now.Before(s.Expires) })
}

// Find returns a session of a user that has neither ended nor expired, and whose access key is
// valid. If there is none, ok is false.
func (s Sessions) Find(ctx context.Context, user, id string) (session Session, ok bool, err error) {
	if !possible(user) {
		return Session{}, false, nil
	}
	ok, err = s.store.search(ctx, user, func(r record) bool {
		sessions := live(r.Sessions, s.store.cfg.Now())
		i := slices.IndexFunc(sessions, func(s Session) bool { return s.ID == id })
		if i < 0 {
			return false
		}
		session = sessions[i]
		return s.store.Keys().marked(r, id)
	})
	if !ok {
		return Session{}, false, err
	}
	return session, true, nil
}

// List returns the sessions of a user that have neither ended nor expired, the oldest first.
func (s Sessions) List(ctx context.Context, user string) ([]Session, error) {
	r, err := s.store.get(ctx, user)
	return live(r.Sessions, s.store.cfg.Now()), err
}

// End ends a session, as its user wants no more of it. What was begun with it goes on.
func (s Sessions) End(ctx context.Context, user, id string) error {
	err := s.store.change(ctx, user, func(r *record) error {
		r.remove(id)
		return nil
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// Revoke ends a session that should not have been: see Stands. It is a NotFound fault if the
// user has no such session.
func (s Sessions) Revoke(ctx context.Context, user, id string) error {
	return s.store.change(ctx, user, func(r *record) error {
		if !r.remove(id) {
			return fault.Missing("session")
		}
		r.revoked(id)
		return nil
	})
}

// RevokeAll revokes all sessions that a user has or had.
func (s Sessions) RevokeAll(ctx context.Context, user string) error {
	return s.store.change(ctx, user, func(r *record) error {
		r.Era, r.Sessions, r.Revoked = newEra(), nil, nil
		return nil
	})
}

// Stands reports whether what was begun with a session may go on: at some moment since the
// call the user exists, the access key of the session is valid, and the session was not revoked.
// It may have expired or ended.
func (s Sessions) Stands(ctx context.Context, user, id string) (bool, error) {
	if !possible(user) {
		return false, nil
	}
	r, _, err := s.store.read(ctx, user)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return err == nil && strings.HasPrefix(id, r.Era) && s.store.Keys().marked(r, id) && !slices.Contains(r.Revoked, id), err
}

// revoked notes that a session was revoked.
func (r *record) revoked(id string) {
	r.Revoked = append(r.Revoked, id)
	r.Revoked = r.Revoked[max(0, len(r.Revoked)-maxRevoked):]
}

// revokeKey removes an access key and the sessions that it began. It reports whether there was
// such a key.
func (r *record) revokeKey(id string) bool {
	kept := slices.DeleteFunc(slices.Clone(r.Keys), func(k storedKey) bool { return k.ID == id })
	removed := len(kept) < len(r.Keys)
	r.Keys = kept
	for _, s := range slices.Clone(r.Sessions) {
		if removed && s.Key == id {
			r.remove(s.ID)
		}
	}
	return removed
}

// remove removes a session, and reports whether there was one.
func (r *record) remove(id string) bool {
	kept := slices.DeleteFunc(slices.Clone(r.Sessions), func(s Session) bool { return s.ID == id })
	removed := len(kept) < len(r.Sessions)
	r.Sessions = kept
	return removed
}
