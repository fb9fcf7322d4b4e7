package users_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth/recent"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

const hour = time.Hour

func begin(t *testing.T, f *fleet, s *users.Store, user string) users.Session {
	t.Helper()
	session, err := s.Sessions().Begin(t.Context(), users.Login{User: user, Kind: "kind", Expires: f.Now().Add(hour)})
	expect.NoError(t, err)
	return session
}

// holds checks whether a session is found, and whether what was begun with it may go on.
func holds(t *testing.T, s *users.Store, user, id string, found, stands bool) {
	t.Helper()
	got, ok, err := s.Sessions().Find(t.Context(), user, id)
	if err != nil || ok != found || ok && got.ID != id {
		t.Errorf("Find(%s) = %+v, %t, %v, want %t", user, got, ok, err, found)
	}
	if ok, err := s.Sessions().Stands(t.Context(), user, id); err != nil || ok != stands {
		t.Errorf("Stands(%s) = %t, %v, want %t", user, ok, err, stands)
	}
}

func TestSessionsEnd(t *testing.T) {
	onEach(t, func(t *testing.T, f *fleet) {
		ctx, a, b := t.Context(), f.stores[0], f.stores[1]
		createUser(t, a, "ann")
		createUser(t, a, "bob")
		_, ok, err := b.Sessions().Find(ctx, "ann", "none")
		if ok || err != nil {
			t.Errorf("Find = %t, %v", ok, err)
		}
		ended, revoked, expired, other := begin(t, f, a, "ann"), begin(t, f, a, "ann"), begin(t, f, a, "ann"), begin(t, f, b, "bob")
		for _, s := range f.stores {
			holds(t, s, "ann", ended.ID, true, true) // at once, though b remembers the user without it
			holds(t, s, "bob", other.ID, true, true)
			holds(t, s, "bob", ended.ID, false, false)
			holds(t, s, "ann", "", false, false)
			holds(t, s, "none", ended.ID, false, false)
		}
		expect.NoError(t, a.Sessions().End(ctx, "ann", ended.ID))
		expect.NoError(t, a.Sessions().End(ctx, "ann", ended.ID))
		expect.NoError(t, a.Sessions().End(ctx, "none", ended.ID))
		expect.NoError(t, a.Sessions().Revoke(ctx, "ann", revoked.ID))
		wantFault(t, "revoked twice", a.Sessions().Revoke(ctx, "ann", revoked.ID), fault.NotFound, "session not found")
		holds(t, a, "ann", ended.ID, false, true)
		holds(t, a, "ann", revoked.ID, false, false)
		left, err := b.Sessions().List(ctx, "bob")
		if err != nil || len(left) != 1 || left[0].ID != other.ID || left[0].Kind != "kind" {
			t.Errorf("List = %+v, %v", left, err)
		}
		f.Add(hour)
		holds(t, a, "ann", expired.ID, false, true)
		expect.NoError(t, a.Sessions().RevokeAll(ctx, "ann"))
		holds(t, a, "ann", expired.ID, false, false)
		holds(t, a, "ann", ended.ID, false, false)
		again := begin(t, f, a, "ann")
		expect.NoError(t, a.Delete(ctx, "ann"))
		createUser(t, a, "ann")
		holds(t, a, "ann", again.ID, false, false)
	})
}

func TestSessionsAreBoundedAndSwept(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	ctx, s := t.Context(), f.stores[0]
	createUser(t, s, "ann")
	first := begin(t, f, s, "ann")
	second := begin(t, f, s, "ann")
	for range limits.Sessions - 1 {
		begin(t, f, f.stores[1], "ann")
	}
	f.Add(recent.MaxAge)
	holds(t, s, "ann", first.ID, false, true)
	holds(t, s, "ann", second.ID, true, true)
	f.Add(hour)
	expect.NoError(t, s.Sweep(ctx))
	value, _, err := f.bucket.Get(ctx, "u.616e6e")
	if err != nil || len(value) > 200 {
		t.Errorf("Sweep left %s, %v", value, err)
	}
	for range 300 { // forgotten only after many more
		expect.NoError(t, s.Sessions().Revoke(ctx, "ann", begin(t, f, s, "ann").ID))
	}
	value, _, err = f.bucket.Get(ctx, "u.616e6e")
	if err != nil || len(value) > 20<<10 {
		t.Errorf("the record has %d bytes, %v", len(value), err)
	}
}

// The first login makes a user whom a provider vouches for. No login is one of another user.
func TestLoginsOfOtherSources(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	ctx, s := t.Context(), f.stores[0]
	createUser(t, s, "ann")
	login := users.Login{User: "oidc:i=7Cann", Source: "oidc", Kind: "k", Groups: []string{"Readers"}, Expires: f.Now().Add(hour)}
	session, err := s.Sessions().Begin(ctx, login)
	expect.NoError(t, err)
	found, ok, err := f.stores[1].Sessions().Find(ctx, login.User, session.ID)
	if err != nil || !ok || !slices.Equal(found.Groups, login.Groups) {
		t.Errorf("Find = %+v, %t, %v", found, ok, err)
	}
	u, err := s.Get(ctx, login.User)
	if err != nil || u.Source != "oidc" {
		t.Errorf("Get = %+v, %v", u, err)
	}
	again, err := f.stores[1].Sessions().Begin(ctx, login)
	if err != nil || again.ID == session.ID {
		t.Errorf("a second login: %+v, %v", again, err)
	}
	for _, l := range []users.Login{
		{User: "ann", Source: "oidc"},
		{User: "bob", Source: "oidc"},
		{User: "saml:i=7Cann", Source: "oidc"},
		{User: "bob", Source: users.SourceLocal},
		{User: "bob"},
		{User: "*", Source: "oidc"},
	} {
		if _, err := s.Sessions().Begin(ctx, l); err == nil {
			t.Errorf("%+v began a session", l)
		}
	}
	if page, _, err := s.List(ctx, "", "", 10); err != nil || len(page) != 2 {
		t.Errorf("users %+v, %v", page, err)
	}
}

// beginWith begins a session with an access key.
func beginWith(t *testing.T, f *fleet, s *users.Store, user, key string) users.Session {
	t.Helper()
	session, err := s.Sessions().Begin(t.Context(), users.Login{User: user, Key: key, Expires: f.Now().Add(hour)})
	expect.NoError(t, err)
	return session
}

// A session that was begun with an access key ends with it, and so does what was begun with the
// session.
func TestSessionsEndWithTheirKey(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	ctx, a, b := t.Context(), f.stores[0], f.stores[1]
	createUser(t, a, "ann")
	first, second := createKey(t, a, "ann"), createKey(t, a, "ann")
	gone, left := beginWith(t, f, a, "ann", first.id), beginWith(t, f, a, "ann", second.id)
	holds(t, b, "ann", gone.ID, true, true)
	expect.NoError(t, a.Keys().Delete(ctx, "ann", first.id))
	f.Add(recent.MaxAge)
	_, err := b.Sessions().Begin(ctx, users.Login{User: "ann", Key: first.id, Expires: f.Now().Add(hour)}) // by a login that was under way
	wantFault(t, "begun with a key that was revoked", err, fault.NotFound, "access key not found")
	for _, s := range f.stores {
		holds(t, s, "ann", gone.ID, false, false)
		holds(t, s, "ann", left.ID, true, true)
	}
	expect.NoError(t, a.Adopt(ctx, pair("RFOLD", "s")))
	adopted := beginWith(t, f, a, "admin", "RFOLD")
	expect.NoError(t, a.Adopt(ctx, pair("RFNEW", "s")))
	holds(t, a, "admin", adopted.ID, false, false)
}

// What was begun with a session ends with the session's access key, even if the session itself
// ended before: who stole the key could log out.
func TestWhatEndedSessionsBeganEndsWithTheirKey(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	ctx, s := t.Context(), f.stores[0]
	createUser(t, s, "ann")
	stolen, kept := createKey(t, s, "ann"), createKey(t, s, "ann")
	expired, ended, other := beginWith(t, f, s, "ann", stolen.id), beginWith(t, f, s, "ann", stolen.id), beginWith(t, f, s, "ann", kept.id)
	f.Add(hour)
	expect.NoError(t, s.Sweep(ctx))
	late := beginWith(t, f, s, "ann", stolen.id)
	for _, one := range []users.Session{ended, other, late} {
		expect.NoError(t, s.Sessions().End(ctx, "ann", one.ID))
	}
	for _, one := range []users.Session{expired, ended, late} {
		holds(t, s, "ann", one.ID, false, true)
	}
	expect.NoError(t, s.Keys().Delete(ctx, "ann", stolen.id))
	for _, one := range []users.Session{expired, ended, late} {
		holds(t, s, "ann", one.ID, false, false)
	}
	holds(t, s, "ann", other.ID, false, true)
}

// Sessions of the key of the settings end with it.
func TestSessionsEndWithTheKeyOfTheSettings(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	s := f.stores[0]
	expect.NoError(t, s.Adopt(t.Context(), users.Secret{}))
	createUser(t, s, "ann")
	configured, changed := pair("mine", "s"), pair("other", "s")
	set := f.open(&configured)
	session := beginWith(t, f, set, "admin", "mine")
	holds(t, set, "admin", session.ID, true, true)
	holds(t, s, "admin", session.ID, false, false) // whose settings have no key
	holds(t, f.open(&changed), "admin", session.ID, false, false)
	if _, err := set.Sessions().Begin(t.Context(), users.Login{User: "ann", Key: "mine", Expires: f.Now().Add(hour)}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a session of another user: %v", err)
	}
}
