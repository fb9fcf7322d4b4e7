package users_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

const provider = "oidc"

// visitor is what is known of a user of a provider, in a test.
type visitor struct {
	there    bool // has a record
	keys     []shown
	sessions map[string]time.Time // when they expire, by ID; those that were ended or revoked are left out
	old      []string             // IDs of sessions of records that were removed
	until    time.Time            // when all sessions that were ever begun have expired
	busy     string               // ID of the session that began something that still runs
}

// visits is a random run of two coordinators that users of a provider come to.
type visits struct {
	t    *testing.T
	rnd  *rand.Rand
	f    *fleet
	seen map[string]*visitor
}

func newVisits(t *testing.T, rnd *rand.Rand) *visits {
	v := &visits{t: t, rnd: rnd, f: newFleet(&kvtest.Memory{}), seen: make(map[string]*visitor)}
	for i := range v.f.stores {
		v.f.stores[i] = users.New(users.Config{Bucket: v.f.bucket, Now: v.f.Now, Busy: v.busy})
	}
	for i := range 3 {
		v.seen[fmt.Sprintf("%s:idp=7Cv%d", provider, i)] = &visitor{sessions: make(map[string]time.Time)}
	}
	expect.NoError(t, v.f.stores[0].Adopt(t.Context(), pair("RFFIRST", "s")))
	createUser(t, v.f.stores[0], "ann")
	return v
}

func (v *visits) busy(context.Context) (map[string]bool, error) {
	all := make(map[string]bool)
	for id, who := range v.seen {
		all[id] = who.busy != ""
	}
	return all, nil
}

func (v *visits) names() []string {
	all := make([]string, 0, len(v.seen))
	for id := range v.seen {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

// live returns the sessions of a user that have not expired, in order.
func (v *visits) live(who *visitor) (all []string) {
	for id, until := range who.sessions {
		if v.f.Now().Before(until) {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// login begins a session, which must be of the same user as ever.
func (v *visits) login(s *users.Store, id string) {
	v.t.Helper()
	who, expires := v.seen[id], v.f.Now().Add(time.Duration(1+v.rnd.IntN(8))*hour)
	session, err := s.Sessions().Begin(v.t.Context(), users.Login{User: id, Source: provider, Expires: expires})
	expect.NoError(v.t, err)
	u, err := s.Get(v.t.Context(), id)
	if err != nil || u.ID != id || u.Source != provider {
		v.t.Errorf("the user of a login is %+v, %v", u, err)
	}
	who.there, who.sessions[session.ID] = true, session.Expires
	if expires.After(who.until) {
		who.until = expires
	}
}

func (v *visits) step() {
	ctx, s := v.t.Context(), v.f.stores[v.rnd.IntN(2)]
	id := v.names()[v.rnd.IntN(len(v.seen))]
	who := v.seen[id]
	live := v.live(who)
	switch v.rnd.IntN(8) {
	case 0:
		v.login(s, id)
	case 1:
		if who.there && len(who.keys) < 2 && v.rnd.IntN(3) == 0 {
			who.keys = append(who.keys, createKey(v.t, s, id))
		}
	case 2:
		if len(who.keys) > 0 {
			expect.NoError(v.t, s.Keys().Delete(ctx, id, who.keys[0].id))
			who.keys = who.keys[1:]
		}
	case 3:
		if len(live) > 0 {
			expect.NoError(v.t, s.Sessions().End(ctx, id, live[0]))
			delete(who.sessions, live[0])
		}
	case 4:
		if len(live) > 0 && who.busy == "" {
			who.busy = live[0]
		} else if v.rnd.IntN(2) == 0 {
			who.busy = ""
		}
	default:
		v.f.Add(time.Duration(v.rnd.Int64N(int64(4 * hour))))
	}
}

// sweep sweeps, and checks who is removed.
func (v *visits) sweep() {
	v.t.Helper()
	ctx, now := v.t.Context(), v.f.Now()
	expect.NoError(v.t, v.f.stores[v.rnd.IntN(2)].Sweep(ctx))
	fresh := v.f.open(nil)
	for _, id := range v.names() {
		who := v.seen[id]
		_, err := fresh.Get(ctx, id)
		idle := len(who.keys) == 0 && len(v.live(who)) == 0 && who.busy == "" && !now.Before(who.until.Add(hour))
		if fault.Is(err, fault.NotFound) != (!who.there || idle) {
			v.t.Errorf("%s has keys %d, sessions %d, something that runs %t, until %v; at %v: %v", id, len(who.keys), len(v.live(who)), who.busy != "", who.until, now, err)
		}
		if who.there && idle {
			for session := range who.sessions {
				who.old = append(who.old, session)
			}
			who.there, who.sessions = false, make(map[string]time.Time)
		}
		v.valid(fresh, id, who)
	}
	for _, id := range []string{"ann", "admin"} {
		if _, err := fresh.Get(ctx, id); err != nil {
			v.t.Errorf("%s: %v", id, err)
		}
	}
	accepts(v.t, fresh, shown{"admin", "RFFIRST", "s"}, true)
}

// valid checks what proves a user, and what began something that runs.
func (v *visits) valid(s *users.Store, id string, who *visitor) {
	v.t.Helper()
	for _, k := range who.keys {
		accepts(v.t, s, k, true)
	}
	for _, session := range v.live(who) {
		holds(v.t, s, id, session, true, true)
	}
	for _, session := range who.old {
		holds(v.t, s, id, session, false, false)
	}
	if who.busy != "" {
		if ok, err := s.Sessions().Stands(v.t.Context(), id, who.busy); err != nil || !ok {
			v.t.Errorf("what %s began stands: %t, %v", id, ok, err)
		}
	}
}

// Whatever happens, a sweep removes users of a provider of whom nothing is left, and nobody else. A
// user who was removed and logs in again is the same one, without the sessions of before.
func TestIdleUsersOfProvidersAreRemoved(t *testing.T) {
	rnd := seeded.Rand(t)
	for range 50 {
		v := newVisits(t, rnd)
		for range 100 {
			v.step()
			if rnd.IntN(4) == 0 {
				v.sweep()
			}
			if t.Failed() {
				return
			}
		}
	}
}

// meddling is a bucket in which something happens just before a record is deleted.
type meddling struct {
	kv.Bucket
	before func()
}

func (m meddling) Delete(ctx context.Context, key string, revision uint64) error {
	m.before()
	return m.Bucket.Delete(ctx, key, revision)
}

func TestALoginDuringASweepKeepsItsUser(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	login := users.Login{User: "oidc:idp=7Cann", Source: provider, Expires: f.Now().Add(hour)}
	_, err := f.stores[0].Sessions().Begin(t.Context(), login)
	expect.NoError(t, err)
	f.Add(2 * hour)
	var session users.Session
	sweeping := users.New(users.Config{Now: f.Now, Bucket: meddling{f.bucket, func() {
		login.Expires = f.Now().Add(hour)
		session, err = f.stores[0].Sessions().Begin(t.Context(), login)
		expect.NoError(t, err)
	}}})
	expect.NoError(t, sweeping.Sweep(t.Context()))
	holds(t, f.stores[1], login.User, session.ID, true, true)
}

// While it is not known who is busy, nobody is removed.
func TestNobodyIsRemovedWhoMayBeBusy(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	login := users.Login{User: "oidc:idp=7Cann", Source: provider, Expires: f.Now().Add(hour)}
	_, err := f.stores[0].Sessions().Begin(t.Context(), login)
	expect.NoError(t, err)
	f.Add(2 * hour)
	away := errors.New("away")
	sweeping := users.New(users.Config{Bucket: f.bucket, Now: f.Now, Busy: func(context.Context) (map[string]bool, error) { return nil, away }})
	if err := sweeping.Sweep(t.Context()); !errors.Is(err, away) {
		t.Errorf("the sweep: %v", err)
	}
	if _, err := f.stores[0].Get(t.Context(), login.User); err != nil {
		t.Error(err)
	}
}

// Strangers of a provider do not keep others out for longer than their sessions last.
func TestIdleUsersMakeRoom(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	s := f.stores[0]
	login := func(i int) error {
		_, err := s.Sessions().Begin(t.Context(), users.Login{User: fmt.Sprintf("oidc:idp=7C%d", i), Source: provider, Expires: f.Now().Add(hour)})
		return err
	}
	for i := range limits.Users {
		key := fmt.Sprintf("u.%x", fmt.Sprintf("oidc:idp=7C%d", i))
		value := fmt.Appendf(nil, `{"id":"oidc:idp=7C%d","source":"oidc","created":"2026-01-02T03:04:05Z","era":"x"}`, i)
		_, err := f.bucket.Create(t.Context(), key, value)
		expect.NoError(t, err)
	}
	wantFault(t, "one too many", login(limits.Users), fault.Conflict, "no more are allowed")
	expect.NoError(t, login(0))
	f.Add(hour)
	expect.NoError(t, s.Sweep(t.Context()))
	expect.NoError(t, login(limits.Users))
}
