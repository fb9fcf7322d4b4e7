package users_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/testclock"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// fleet is a bucket, and what two coordinators make of it.
type fleet struct {
	*testclock.Clock
	bucket kv.Bucket
	stores [2]*users.Store
}

func newFleet(bucket kv.Bucket) *fleet {
	f := &fleet{Clock: testclock.New(), bucket: bucket}
	for i := range f.stores {
		f.stores[i] = f.open(nil)
	}
	return f
}

func (f *fleet) open(configured *users.Secret) *users.Store {
	return users.New(users.Config{Bucket: f.bucket, Now: f.Now, Configured: configured})
}

// onEach runs a test on an empty bucket of every implementation.
func onEach(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, newFleet(&kvtest.Memory{})) })
	t.Run("jetstream", func(t *testing.T) { test(t, newFleet(queuetest.Start(t).Bucket(kv.BucketAuth))) })
}

// shown is an access key with its secret.
type shown struct{ user, id, secret string }

func createUser(t *testing.T, s *users.Store, id string) {
	t.Helper()
	_, err := s.Create(t.Context(), id, users.SourceLocal)
	expect.NoError(t, err)
}

func createKey(t *testing.T, s *users.Store, user string) shown {
	t.Helper()
	key, secret, err := s.Keys().Create(t.Context(), user)
	expect.NoError(t, err)
	return shown{user, key.ID, secret}
}

// accepts checks whether a store accepts an access key.
func accepts(t *testing.T, s *users.Store, k shown, want bool) {
	t.Helper()
	user, ok, err := s.Keys().Authenticate(t.Context(), k.id, k.secret)
	if err != nil || ok != want || ok && user != k.user {
		t.Errorf("Authenticate(key of %s) = %q, %t, %v, want %t", k.user, user, ok, err, want)
	}
}

func wantFault(t *testing.T, what string, err error, kind fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, kind) || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("%s: %v, want a fault of kind %d with %q", what, err, kind, text)
	}
}

func TestUsersAreListedAndDeleted(t *testing.T) {
	longest, err := access.ExternalUser(access.OIDC, strings.Repeat("/", 256), strings.Repeat("|", 128))
	expect.NoError(t, err)
	onEach(t, func(t *testing.T, f *fleet) {
		ctx, a, b := t.Context(), f.stores[0], f.stores[1]
		for _, id := range []string{"bob", "b.o", "Ann", "bob@example.com"} {
			createUser(t, a, id)
		}
		_, err := a.Create(ctx, longest, "oidc")
		expect.NoError(t, err)
		_, err = b.Create(ctx, "bob", users.SourceLocal)
		wantFault(t, "created twice", err, fault.Conflict, `user "bob" exists already`)
		for _, tc := range []struct {
			prefix, after string
			amount        int
			want          string
			more          bool
		}{
			{"", "", 10, "Ann b.o bob bob@example.com " + longest, false},
			{"", "", 2, "Ann b.o", true},
			{"", "Ann", 2, "b.o bob", true},
			{"b", "", 3, "b.o bob bob@example.com", false},
			{"bob", "bob", 3, "bob@example.com", false},
			{"*", "", 3, "", false},
		} {
			page, more, err := b.List(ctx, tc.prefix, tc.after, tc.amount)
			names := []string{}
			for _, u := range page {
				names = append(names, u.ID)
			}
			if got := strings.Join(names, " "); err != nil || got != tc.want || more != tc.more {
				t.Errorf("List(%q, %q, %d) = %q, %t, %v, want %q, %t", tc.prefix, tc.after, tc.amount, got, more, err, tc.want, tc.more)
			}
		}
		u, err := b.Get(ctx, longest)
		if want := f.Now().Truncate(time.Second); err != nil || u.ID != longest || u.Source != "oidc" || !u.Created.Equal(want) {
			t.Errorf("Get = %+v, %v", u, err)
		}
		expect.NoError(t, b.Delete(ctx, "bob"))
		_, err = b.Get(ctx, "bob")
		wantFault(t, "got when deleted", err, fault.NotFound, "user not found")
		wantFault(t, "deleted twice", a.Delete(ctx, "bob"), fault.NotFound, "user not found")
		createUser(t, a, "bob")
	})
}

func TestNamesOfUsersAreChecked(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	ctx, s := t.Context(), f.stores[0]
	for _, id := range []string{"", "*", "${user}", "a/b", "admin ", "x\ny", strings.Repeat("a", 300), "oidc:i|s", "SAML:x", "ä"} {
		_, err := s.Create(ctx, id, users.SourceLocal)
		wantFault(t, id, err, fault.Invalid, "id: ")
		_, err = s.Get(ctx, id)
		wantFault(t, id, err, fault.NotFound, "user not found")
		_, _, err = s.Keys().Create(ctx, id)
		wantFault(t, id, err, fault.NotFound, "user not found")
		wantFault(t, id, s.Delete(ctx, id), fault.NotFound, "user not found")
		wantFault(t, id, s.Keys().Delete(ctx, id, "k"), fault.NotFound, "user not found")
		if _, ok, err := s.Sessions().Find(ctx, id, "x"); ok || err != nil {
			t.Errorf("session of %q: %t, %v", id, ok, err)
		}
		for what, stands := range map[string]func() (bool, error){
			"key":     func() (bool, error) { return s.Keys().Exists(ctx, id, "k") },
			"session": func() (bool, error) { return s.Sessions().Stands(ctx, id, "x") },
		} {
			if ok, err := stands(); ok || err != nil {
				t.Errorf("%s of %q: %t, %v", what, id, ok, err)
			}
		}
	}
	_, err := s.Create(ctx, "bob", "oidc")
	wantFault(t, "a local name of another source", err, fault.Invalid, `starts with "oidc:"`)
}

// full is a bucket that claims to have so many users.
type full struct {
	kv.Bucket
	users int
}

func (b full) Keys(context.Context, string) ([]string, error) { return make([]string, b.users), nil }

func TestUsersAreBounded(t *testing.T) {
	f := newFleet(full{&kvtest.Memory{}, limits.Users - 1})
	createUser(t, f.stores[0], "last")
	f.bucket = full{&kvtest.Memory{}, limits.Users}
	_, err := f.open(nil).Create(t.Context(), "more", users.SourceLocal)
	wantFault(t, "too many", err, fault.Conflict, "there are 10000 users")
}

func TestARecordThatCannotBeDecodedGrantsNothing(t *testing.T) {
	for _, value := range []string{"{", `{"id":"bob"}`} {
		f := newFleet(&kvtest.Memory{})
		ctx, s := t.Context(), f.stores[0]
		createUser(t, s, "ann")
		k := createKey(t, s, "ann")
		const key = "u.616e6e"
		_, rev, err := f.bucket.Get(ctx, key)
		expect.NoError(t, err)
		_, err = f.bucket.Update(ctx, key, []byte(value), rev)
		expect.NoError(t, err)
		s = f.stores[1]
		_, ok, err := s.Keys().Authenticate(ctx, k.id, k.secret)
		if ok {
			t.Error("its access key is accepted")
		}
		wantFault(t, "Authenticate", err, fault.Broken, "the record "+key+" of the bucket auth")
		page, _, err := s.List(ctx, "", "", 10)
		if err != nil || len(page) != 1 || page[0] != (users.User{ID: "ann"}) {
			t.Errorf("List = %+v, %v", page, err)
		}
		f.Add(24 * time.Hour)
		expect.NoError(t, s.Sweep(ctx))
		if keys, err := f.bucket.Keys(ctx, "k."); err != nil || len(keys) != 1 {
			t.Errorf("Sweep left the access keys %q, %v, want the one of the record", keys, err)
		}
		expect.NoError(t, s.Delete(ctx, "ann"))
		createUser(t, s, "ann")
		accepts(t, s, k, false)
	}
}

var errAway = errors.New("the bucket does not answer")
