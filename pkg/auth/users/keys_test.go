package users_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

func TestAccessKeys(t *testing.T) {
	onEach(t, func(t *testing.T, f *fleet) {
		ctx, a, b := t.Context(), f.stores[0], f.stores[1]
		createUser(t, a, "ann")
		createUser(t, a, "bob")
		first := createKey(t, a, "ann")
		accepts(t, a, first, true)
		accepts(t, b, first, true)
		second := createKey(t, a, "ann")
		accepts(t, b, second, true) // at once, though b remembers the user without it
		for _, k := range []shown{
			{id: first.id, secret: second.secret},
			{id: first.id},
			{id: first.id, secret: strings.ToLower(first.secret)},
			{},
			{id: "RFNONE", secret: first.secret},
			{id: strings.Repeat("x", 1<<20), secret: first.secret},
			{id: strings.ToLower(first.id), secret: first.secret},
			{id: first.id + ".", secret: first.secret},
			{id: ">", secret: first.secret},
			{id: "*", secret: first.secret},
		} {
			accepts(t, a, k, false)
		}
		keys, err := b.Keys().List(ctx, "ann")
		if err != nil || len(keys) != 2 || keys[0].ID != first.id || keys[1].ID != second.id || !keys[0].Created.Equal(f.Now().Truncate(time.Second)) {
			t.Errorf("List = %+v, %v", keys, err)
		}
		wantFault(t, "deleted for another user", a.Keys().Delete(ctx, "bob", first.id), fault.NotFound, "access key not found")
		expect.NoError(t, a.Keys().Delete(ctx, "ann", first.id))
		wantFault(t, "deleted twice", b.Keys().Delete(ctx, "ann", first.id), fault.NotFound, "access key not found")
		for _, s := range f.stores {
			accepts(t, s, first, false)
			accepts(t, s, second, true)
			for user, want := range map[string]bool{"ann": true, "bob": false, "none": false} {
				if ok, err := s.Keys().Exists(ctx, user, second.id); ok != want || err != nil {
					t.Errorf("Exists for %s = %t, %v", user, ok, err)
				}
			}
			if ok, err := s.Keys().Exists(ctx, "ann", first.id); ok || err != nil {
				t.Errorf("Exists of the deleted key = %t, %v", ok, err)
			}
		}
		expect.NoError(t, a.Delete(ctx, "ann"))
		createUser(t, a, "ann")
		accepts(t, a, second, false)
		if keys, err := f.bucket.Keys(ctx, "k."); err != nil || len(keys) != 0 {
			t.Errorf("the index holds %q, %v", keys, err)
		}
	})
}

func TestAccessKeysAreBounded(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	ctx, s := t.Context(), f.stores[0]
	createUser(t, s, "ann")
	for range limits.AccessKeys {
		createKey(t, f.stores[1], "ann")
	}
	_, _, err := s.Keys().Create(ctx, "ann")
	wantFault(t, "one more", err, fault.Conflict, `user "ann" has 10 access keys`)
	f.Add(2 * time.Hour)
	expect.NoError(t, s.Sweep(ctx))
	if keys, err := f.bucket.Keys(ctx, "k."); err != nil || len(keys) != limits.AccessKeys {
		t.Errorf("after the sweep the index holds %q, %v", keys, err)
	}
}

// pair is an access key that is stored elsewhere.
func pair(id, secret string) users.Secret {
	return users.Secret{AccessKeyID: id, Digest: sha256.Sum256([]byte(secret))}
}

func TestTheFirstKeyIsTheAdministrators(t *testing.T) {
	onEach(t, func(t *testing.T, f *fleet) {
		ctx, a, b := t.Context(), f.stores[0], f.stores[1]
		first := shown{access.Admin, "any.key of long ago", "secret"}
		for _, s := range []*users.Store{a, b, a} {
			expect.NoError(t, s.Adopt(ctx, pair(first.id, first.secret)))
			accepts(t, s, first, true)
		}
		wantFault(t, "deleted", a.Delete(ctx, access.Admin), fault.Conflict, "cannot be deleted")
		wantFault(t, "left without a key", a.Keys().Delete(ctx, access.Admin, first.id), fault.Conflict, "is the last one")
		second := createKey(t, a, access.Admin)
		expect.NoError(t, a.Keys().Delete(ctx, access.Admin, first.id))
		expect.NoError(t, b.Adopt(ctx, pair(first.id, first.secret))) // at the next start
		accepts(t, b, first, false)
		accepts(t, b, second, true)
		anew := shown{access.Admin, "RFANEW", "s"}
		expect.NoError(t, b.Adopt(ctx, pair(anew.id, anew.secret)))
		accepts(t, a, anew, true)
		last := shown{access.Admin, "RFLAST", "s"}
		expect.NoError(t, b.Adopt(ctx, pair(last.id, last.secret)))
		accepts(t, b, anew, false)
		accepts(t, b, last, true)
		accepts(t, b, second, true)
	})
}

func TestTheKeyOfTheSettingsTakesThePlaceOfTheFirst(t *testing.T) {
	f := newFleet(&kvtest.Memory{})
	ctx, without := t.Context(), f.stores[0]
	first, set := shown{access.Admin, "RFFIRST", "s"}, shown{access.Admin, "mine", "short"}
	expect.NoError(t, without.Adopt(ctx, pair(first.id, first.secret)))
	configured := pair(set.id, set.secret)
	s := f.open(&configured)
	expect.NoError(t, s.Adopt(ctx, users.Secret{}))
	accepts(t, s, set, true)
	accepts(t, s, first, false)
	accepts(t, without, first, true)
	accepts(t, without, set, false)
	accepts(t, s, shown{access.Admin, set.id, "other"}, false)
	further := createKey(t, s, access.Admin)
	accepts(t, s, further, true)
	accepts(t, without, further, true)
	for id, want := range map[string]bool{set.id: true, first.id: false, further.id: true} {
		if ok, err := s.Keys().Exists(ctx, access.Admin, id); ok != want || err != nil {
			t.Errorf("Exists(%s) = %t, %v", id, ok, err)
		}
	}
	for store, want := range map[*users.Store][]string{s: {further.id}, without: {first.id, further.id}} {
		keys, err := store.Keys().List(ctx, access.Admin)
		ids := make([]string, len(keys))
		for i, k := range keys {
			ids[i] = k.ID
		}
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("List = %q, %v, want %q", ids, err, want)
		}
	}
	if ok, err := s.Keys().Exists(ctx, "ann", set.id); ok || err != nil {
		t.Errorf("Exists for another user = %t, %v", ok, err)
	}
	wantFault(t, "deleted", s.Keys().Delete(ctx, access.Admin, set.id), fault.Conflict, "auth.access_key_id")
	expect.NoError(t, s.Keys().Delete(ctx, access.Admin, further.id))
	expect.NoError(t, s.Keys().Delete(ctx, access.Admin, first.id))
}
