package users_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/auth/recent"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// credential is an access key or a session of a user.
type credential struct {
	shown
	session bool
}

// naive is the users as one process would hold them in its memory.
type naive struct {
	users   map[string]bool
	expires map[credential]time.Time // of those that are valid
	ended   map[credential]time.Time // when it ended, of all others
	by      map[credential]int       // the store that ended it
	stands  map[credential]bool      // of sessions that ended, those whose imports may go on
}

// end ends the credentials for which which returns true.
func (n *naive) end(at time.Time, by int, which func(credential) bool) {
	for c := range n.expires {
		if which(c) {
			delete(n.expires, c)
			n.ended[c], n.by[c] = at, by
		}
	}
}

// run is a random run of two coordinators, compared with the twin.
type run struct {
	t   *testing.T
	rnd *rand.Rand
	f   *fleet
	naive
}

var names = []string{"ann", "bob", "eve"}

// one returns a random valid credential of the user, if there is one.
func (r *run) one(user string, session bool) (credential, bool) {
	var all []credential
	for c := range r.expires {
		if c.user == user && c.session == session {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b credential) int { return cmpString(a.id, b.id) })
	if len(all) == 0 {
		return credential{shown: shown{user: user, id: "none"}, session: session}, false
	}
	return all[r.rnd.IntN(len(all))], true
}

func cmpString(a, b string) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// expect checks whether an operation succeeded as the twin says.
func (r *run) expect(what string, err error, want bool) {
	r.t.Helper()
	if (err == nil) != want {
		r.t.Errorf("%s: %v, want success %t", what, err, want)
	}
}

// step does something random to a user, by one of the stores.
func (r *run) step() {
	ctx, by, user := r.t.Context(), r.rnd.IntN(2), names[r.rnd.IntN(len(names))]
	s, now, there := r.f.stores[by], r.f.Now(), r.users[user]
	switch r.rnd.IntN(9) {
	case 0:
		_, err := s.Create(ctx, user, users.SourceLocal)
		r.expect("create", err, !there)
		r.users[user] = true
	case 1, 2:
		r.createKey(s, user, there)
	case 3, 4:
		session, err := s.Sessions().Begin(ctx, users.Login{User: user, Expires: now.Add(20 * time.Second)})
		r.expect("begin", err, there)
		if there {
			r.expires[credential{shown{user: user, id: session.ID}, true}] = session.Expires
		}
	case 5:
		c, ok := r.one(user, false)
		r.expect("delete key", s.Keys().Delete(ctx, user, c.id), ok)
		r.end(now, by, func(other credential) bool { return other == c })
	case 6:
		c, ok := r.one(user, true)
		if r.rnd.IntN(2) == 0 {
			r.expect("end", s.Sessions().End(ctx, user, c.id), true)
			r.stands[c] = ok
		} else {
			r.expect("revoke", s.Sessions().Revoke(ctx, user, c.id), ok)
		}
		r.end(now, by, func(other credential) bool { return other == c })
	case 7:
		r.endAll(s.Sessions().RevokeAll(ctx, user), by, user, there, func(c credential) bool { return c.session })
	default:
		if r.rnd.IntN(4) == 0 {
			r.endAll(s.Delete(ctx, user), by, user, there, func(credential) bool { return true })
			delete(r.users, user)
		}
	}
}

func (r *run) createKey(s *users.Store, user string, there bool) {
	n := 0
	for c := range r.expires {
		if c.user == user && !c.session {
			n++
		}
	}
	key, secret, err := s.Keys().Create(r.t.Context(), user)
	r.expect("create key", err, there && n < limits.AccessKeys)
	if err == nil {
		r.expires[credential{shown{user, key.ID, secret}, false}] = r.f.Now().Add(24 * time.Hour)
	}
}

func (r *run) endAll(err error, by int, user string, there bool, which func(credential) bool) {
	r.expect("end all of "+user, err, there)
	r.end(r.f.Now(), by, func(c credential) bool { return c.user == user && which(c) })
	maps.DeleteFunc(r.stands, func(c credential, _ bool) bool { return c.user == user })
}

// accepted reports whether a store accepts a credential, and whether what was begun with it
// may go on.
func (r *run) accepted(s *users.Store, c credential) (ok, stands bool) {
	var user string
	var err, err2 error
	if c.session {
		_, ok, err = s.Sessions().Find(r.t.Context(), c.user, c.id)
		stands, err2 = s.Sessions().Stands(r.t.Context(), c.user, c.id)
	} else {
		user, ok, err = s.Keys().Authenticate(r.t.Context(), c.id, c.secret)
		stands, err2 = s.Keys().Exists(r.t.Context(), c.user, c.id)
		if ok && user != c.user {
			r.t.Errorf("the key of %s is one of %q", c.user, user)
		}
	}
	if err != nil || err2 != nil {
		r.t.Errorf("%+v: %v, %v", c, err, err2)
	}
	return ok, stands
}

// expire ends the credentials that are valid until now. What was begun with them may go on.
func (n *naive) expire(now time.Time) {
	for c, at := range n.expires {
		if !now.Before(at) {
			delete(n.expires, c)
			n.ended[c], n.by[c], n.stands[c] = at, 0, true
		}
	}
}

// check compares what each store accepts with the twin, for some credentials.
func (r *run) check() {
	now := r.f.Now()
	for i, s := range r.f.stores {
		for c := range r.expires {
			if r.rnd.IntN(3) > 0 {
				continue
			}
			if ok, stands := r.accepted(s, c); !ok || !stands {
				r.t.Errorf("store %d refuses %+v: %t, %t", i, c, ok, stands)
			}
		}
		for c, at := range r.ended {
			if r.rnd.IntN(3) > 0 { // each look makes the store read the user
				continue
			}
			ok, stands := r.accepted(s, c)
			if ok && (r.by[c] == i || now.Sub(at) >= recent.MaxAge) {
				r.t.Errorf("store %d accepts %+v, which store %d ended %v ago", i, c, r.by[c], now.Sub(at))
			}
			if stands != r.stands[c] {
				r.t.Errorf("store %d: %+v stands: %t", i, c, stands)
			}
		}
	}
}

// Whatever two coordinators do, a new credential is accepted at once, and one that ended is
// refused at once by the one that ended it, and by the other one after MaxAge.
func TestTwoCoordinatorsAgreeWithinTheBound(t *testing.T) {
	rnd := seeded.Rand(t)
	for range 20 {
		r := &run{t: t, rnd: rnd, f: newFleet(&kvtest.Memory{}), naive: naive{
			map[string]bool{}, map[credential]time.Time{}, map[credential]time.Time{}, map[credential]int{}, map[credential]bool{},
		}}
		for i := range 100 {
			r.step()
			r.check()
			if r.rnd.IntN(3) == 0 {
				r.f.Add(time.Duration(r.rnd.Int64N(int64(2 * recent.MaxAge))))
				r.expire(r.f.Now())
			}
			if r.rnd.IntN(20) == 0 {
				r.expect("sweep", r.f.stores[i%2].Sweep(t.Context()), true)
			}
			if t.Failed() {
				t.Fatalf("step %d", i)
			}
		}
	}
}
