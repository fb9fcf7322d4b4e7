package users_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth/recent"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// mortal is the bucket of a process that dies at one of its writes: all that it does later has
// no effect.
type mortal struct {
	kv.Bucket
	left   int  // writes until then
	stored bool // the write at which it dies is stored
	dead   bool
}

// write calls do unless the process is dead.
func (m *mortal) write(do func() error) error {
	if m.dead {
		return errAway
	}
	if m.left--; m.left >= 0 {
		return do()
	}
	m.dead = true
	if m.stored {
		_ = do()
	}
	return errAway
}

func (m *mortal) Create(ctx context.Context, key string, value []byte) (rev uint64, err error) {
	err = m.write(func() error { rev, err = m.Bucket.Create(ctx, key, value); return err })
	return rev, err
}

func (m *mortal) Update(ctx context.Context, key string, value []byte, revision uint64) (rev uint64, err error) {
	err = m.write(func() error { rev, err = m.Bucket.Update(ctx, key, value, revision); return err })
	return rev, err
}

func (m *mortal) Delete(ctx context.Context, key string, revision uint64) error {
	return m.write(func() error { return m.Bucket.Delete(ctx, key, revision) })
}

// scene is users with a key and a session each.
type scene struct {
	f       *fleet
	key     shown
	session users.Session
}

func newScene(t *testing.T) *scene {
	s := &scene{f: newFleet(&kvtest.Memory{})}
	store := s.f.stores[0]
	expect.NoError(t, store.Adopt(t.Context(), pair("RFFIRST", "s")))
	createUser(t, store, "ann")
	s.key, s.session = createKey(t, store, "ann"), begin(t, s.f, store, "ann")
	return s
}

// A process that dies at any write of an operation leaves the operation done or not done, and
// nothing that is valid without its user. What it leaves is swept.
func TestACrashLeavesNothingHalfDone(t *testing.T) {
	ctx := t.Context()
	for name, do := range map[string]func(s *scene, store *users.Store) (key shown, err error){
		"create user": func(_ *scene, store *users.Store) (shown, error) {
			_, err := store.Create(ctx, "bob", users.SourceLocal)
			return shown{}, err
		},
		"create key": func(_ *scene, store *users.Store) (shown, error) {
			key, secret, err := store.Keys().Create(ctx, "ann")
			return shown{"ann", key.ID, secret}, err
		},
		"delete key": func(s *scene, store *users.Store) (shown, error) {
			return shown{}, store.Keys().Delete(ctx, "ann", s.key.id)
		},
		"delete user": func(_ *scene, store *users.Store) (shown, error) { return shown{}, store.Delete(ctx, "ann") },
		"end": func(s *scene, store *users.Store) (shown, error) {
			return shown{}, store.Sessions().End(ctx, "ann", s.session.ID)
		},
		"revoke all": func(_ *scene, store *users.Store) (shown, error) {
			return shown{}, store.Sessions().RevokeAll(ctx, "ann")
		},
		"adopt": func(_ *scene, store *users.Store) (shown, error) {
			return shown{}, store.Adopt(ctx, pair("RFNEW", "n"))
		},
		"sweep": func(s *scene, store *users.Store) (shown, error) { s.f.Add(2 * hour); return shown{}, store.Sweep(ctx) },
	} {
		for writes, done := 0, false; !done; writes++ {
			for _, stored := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d writes, the last stored: %t", name, writes, stored), func(t *testing.T) {
					s := newScene(t)
					process := &mortal{Bucket: s.f.bucket, left: writes, stored: stored}
					dying := users.New(users.Config{Bucket: process, Now: s.f.Now})
					key, err := do(s, dying)
					if err == nil && key.id != "" {
						accepts(t, s.f.open(nil), key, true)
					}
					done = !process.dead
					s.check(t)
				})
			}
		}
	}
}

// check compares what is valid in a new process with the users that there are, and looks for
// what the sweep leaves.
func (s *scene) check(t *testing.T) {
	t.Helper()
	ctx, store := t.Context(), s.f.open(nil)
	_, err := store.Get(ctx, "ann")
	there := err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	_, valid, err := store.Keys().Authenticate(ctx, s.key.id, s.key.secret)
	_, found, err2 := store.Sessions().Find(ctx, "ann", s.session.ID)
	stands, err3 := store.Sessions().Stands(ctx, "ann", s.session.ID)
	if err := errors.Join(err, err2, err3); err != nil || !there && (valid || found || stands) {
		t.Errorf("the user exists: %t, the key is valid: %t, the session: %t, it stands: %t, %v", there, valid, found, stands, err)
	}
	s.f.Add(2 * hour)
	expect.NoError(t, store.Sweep(ctx))
	expect.NoError(t, store.Sweep(ctx))
	want := 0
	for _, user := range []string{"ann", access.Admin} {
		keys, err := store.Keys().List(ctx, user)
		if err != nil && !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		want += len(keys)
	}
	if keys, err := s.f.bucket.Keys(ctx, "k."); err != nil || len(keys) != want {
		t.Errorf("the index has %q, %v, want %d", keys, err, want)
	}
}

// away is a bucket that can be out of reach, and whose next read of a record can be held up.
type away struct {
	kv.Bucket
	away bool
	hold chan chan struct{} // nil: reads are answered at once
}

func (b *away) GetLinearized(ctx context.Context, key string) ([]byte, uint64, error) {
	if b.away {
		return nil, 0, errAway
	}
	value, rev, err := b.Bucket.GetLinearized(ctx, key)
	if b.hold != nil {
		release := make(chan struct{})
		b.hold <- release
		<-release
	}
	return value, rev, err
}

func (b *away) Keys(ctx context.Context, prefix string) ([]string, error) {
	if b.away {
		return nil, errAway
	}
	return b.Bucket.Keys(ctx, prefix)
}

// An outage of the bucket lets nobody in who was not let in a moment ago, and calls nobody a
// stranger.
func TestNobodyIsKnownWhileTheBucketIsAway(t *testing.T) {
	s := newScene(t)
	ctx, bucket := t.Context(), &away{Bucket: s.f.bucket}
	s.f.bucket = bucket
	warm, cold := s.f.open(nil), s.f.open(nil)
	accepts(t, warm, s.key, true)
	s.f.Add(recent.MaxAge - time.Nanosecond)
	bucket.away = true
	accepts(t, warm, s.key, true)
	if _, ok, err := warm.Sessions().Find(ctx, "ann", s.session.ID); !ok || err != nil {
		t.Errorf("Find of what is remembered = %t, %v", ok, err)
	}
	s.f.Add(time.Nanosecond)
	for name, store := range map[string]*users.Store{"warm": warm, "cold": cold} {
		for what, call := range map[string]func() (bool, error){
			"key": func() (bool, error) {
				_, ok, err := store.Keys().Authenticate(ctx, s.key.id, s.key.secret)
				return ok, err
			},
			"session":     func() (bool, error) { _, ok, err := store.Sessions().Find(ctx, "ann", s.session.ID); return ok, err },
			"unknown key": func() (bool, error) { _, ok, err := store.Keys().Authenticate(ctx, "RFX", "s"); return ok, err },
			"key again":   func() (bool, error) { return store.Keys().Exists(ctx, "ann", s.key.id) },
			"stands":      func() (bool, error) { return store.Sessions().Stands(ctx, "ann", s.session.ID) },
			"user":        func() (bool, error) { _, err := store.Get(ctx, "ann"); return false, err },
		} {
			if ok, err := call(); ok || !errors.Is(err, errAway) {
				t.Errorf("%s, %s: %t, %v, want the bucket's error", name, what, ok, err)
			}
		}
	}
	bucket.away = false
	accepts(t, warm, s.key, true)
}

// A read that began before a change by the same process is not remembered after it, and no call
// after the change waits for it.
func TestAReadDoesNotOutliveAChange(t *testing.T) {
	s := newScene(t)
	ctx, bucket := t.Context(), &away{Bucket: s.f.bucket, hold: make(chan chan struct{})}
	s.f.bucket = bucket
	store := s.f.open(nil)
	before := make(chan bool)
	go func() {
		_, ok, err := store.Sessions().Find(ctx, "ann", s.session.ID)
		before <- ok && err == nil
	}()
	slow := expect.Received(t, "the read begins", bucket.hold)
	go func() { // all other reads are answered at once
		for release := range bucket.hold {
			close(release)
		}
	}()
	defer close(bucket.hold)
	expect.NoError(t, store.Sessions().End(ctx, "ann", s.session.ID))
	holdsNot(t, store, s.session.ID)
	expect.NoError(t, store.Sessions().RevokeAll(ctx, "ann")) // forgets what was read in between
	close(slow)
	if !<-before {
		t.Error("the session was refused before it ended")
	}
	holdsNot(t, store, s.session.ID)
}

func holdsNot(t *testing.T, store *users.Store, session string) {
	t.Helper()
	if _, ok, err := store.Sessions().Find(t.Context(), "ann", session); ok || err != nil {
		t.Errorf("Find of a session that ended = %t, %v", ok, err)
	}
}
