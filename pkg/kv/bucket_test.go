package kv_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// TestBucket is one suite for every implementation of Bucket.
func TestBucket(t *testing.T) {
	shared := queuetest.Start(t).Bucket(kv.BucketCatalog)
	for name, bucket := range map[string]kv.Bucket{"memory": &kvtest.Memory{}, "jetstream": shared} {
		t.Run(name, func(t *testing.T) {
			t.Run("values", func(t *testing.T) { testValues(t, bucket) })
			t.Run("compare and swap", func(t *testing.T) { testCompareAndSwap(t, bucket) })
			t.Run("delete", func(t *testing.T) { testDelete(t, bucket) })
			t.Run("purge", func(t *testing.T) { testPurge(t, bucket) })
			t.Run("keys", func(t *testing.T) { testKeys(t, bucket) })
			t.Run("bad keys", func(t *testing.T) { testBadKeys(t, bucket) })
			t.Run("watch", func(t *testing.T) { testWatch(t, bucket) })
			t.Run("one winner", func(t *testing.T) { testOneWinner(t, bucket) })
			t.Run("ended context", func(t *testing.T) { testEndedContext(t, bucket) })
		})
	}
}

func TestCreateOfATooLargeValue(t *testing.T) {
	bucket := queuetest.Start(t).Bucket(kv.BucketCatalog)
	if _, err := bucket.Create(t.Context(), "large", make([]byte, 9<<20)); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Create of 9 MiB: %v", err)
	}
}

// The record of an import grows by its partitions, its commit, and how it ended.
func TestARecordCanGrow(t *testing.T) {
	const most = 8 << 20 // that the server takes
	bucket := queuetest.Start(t).Bucket(kv.BucketImports)
	if _, err := bucket.Create(t.Context(), "full", make([]byte, most-1000)); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Create of a record that cannot grow: %v", err)
	}
	rev, err := bucket.Create(t.Context(), "large", make([]byte, most-most/8))
	expect.NoError(t, err)
	if _, err := bucket.Update(t.Context(), "large", make([]byte, most-1000), rev); err != nil {
		t.Errorf("a record that grew: %v", err)
	}
}

func testValues(t *testing.T, bucket kv.Bucket) {
	ctx := t.Context()
	if _, _, err := bucket.Get(ctx, "v/none"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get of a missing key: %v, want ErrNotFound", err)
	}
	for i, value := range [][]byte{[]byte("a"), {}, {0, 0xff, '\n'}} {
		key := fmt.Sprint("v/", i)
		rev, err := bucket.Create(ctx, key, value)
		expect.NoError(t, err)
		value = slices.Clone(value)
		got, gotRev, err := bucket.Get(ctx, key)
		if err != nil || string(got) != string(value) || gotRev != rev {
			t.Errorf("Get = %q, %d, %v, want %q, %d", got, gotRev, err, value, rev)
		}
		if got, gotRev, err := bucket.GetLinearized(ctx, key); err != nil || string(got) != string(value) || gotRev != rev {
			t.Errorf("GetLinearized = %q, %d, %v, want %q, %d", got, gotRev, err, value, rev)
		}
	}
}

func testCompareAndSwap(t *testing.T, bucket kv.Bucket) {
	ctx := t.Context()
	first, err := bucket.Create(ctx, "cas/key", []byte("1"))
	expect.NoError(t, err)
	if _, err := bucket.Create(ctx, "cas/key", []byte("x")); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("second Create: %v, want ErrConflict", err)
	}
	second, err := bucket.Update(ctx, "cas/key", []byte("2"), first)
	if err != nil || second <= first {
		t.Fatalf("Update = %d, %v after revision %d", second, err, first)
	}
	for _, rev := range []uint64{0, first, second + 1} {
		if _, err := bucket.Update(ctx, "cas/key", []byte("x"), rev); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("Update at revision %d of %d: %v, want ErrConflict", rev, second, err)
		}
	}
	for _, rev := range []uint64{0, second} {
		if _, err := bucket.Update(ctx, "cas/absent", []byte("x"), rev); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("Update of a missing key at %d: %v, want ErrConflict", rev, err)
		}
	}
	if got, rev, err := bucket.Get(ctx, "cas/key"); err != nil || string(got) != "2" || rev != second {
		t.Errorf("Get = %q, %d, %v, want \"2\", %d", got, rev, err, second)
	}
}

func testDelete(t *testing.T, bucket kv.Bucket) {
	ctx := t.Context()
	for _, rev := range []uint64{0, 1} {
		if err := bucket.Delete(ctx, "del/never", rev); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("Delete of a missing key at %d: %v, want ErrConflict", rev, err)
		}
	}
	var last uint64
	for range 3 {
		rev, err := bucket.Create(ctx, "del/key", []byte("x"))
		if err != nil || rev <= last {
			t.Fatalf("Create = %d, %v after revision %d", rev, err, last)
		}
		last = rev
		if err := bucket.Delete(ctx, "del/key", rev+1); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("Delete at another revision: %v, want ErrConflict", err)
		}
		expect.NoError(t, bucket.Delete(ctx, "del/key", rev))
		if _, _, err := bucket.Get(ctx, "del/key"); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("Get of a deleted key: %v, want ErrNotFound", err)
		}
		if _, err := bucket.Update(ctx, "del/key", []byte("x"), rev); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("Update of a deleted key: %v, want ErrConflict", err)
		}
		if keys, err := bucket.Keys(ctx, "del/"); err != nil || len(keys) != 0 {
			t.Errorf("Keys after Delete = %q, %v", keys, err)
		}
	}
}

func testPurge(t *testing.T, bucket kv.Bucket) {
	ctx := t.Context()
	for _, key := range []string{"p.a.x", "p.a.y.z", "p.ab.x", "p.a"} {
		if _, err := bucket.Create(ctx, key, []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	expect.NoError(t, bucket.Purge(ctx, "p.a."))
	expect.NoError(t, bucket.Purge(ctx, "p.a.")) // of nothing
	if keys, err := bucket.Keys(ctx, "p."); err != nil || !slices.Equal(keys, []string{"p.a", "p.ab.x"}) {
		t.Errorf("after a purge there are %q, %v", keys, err)
	}
	if _, err := bucket.Create(ctx, "p.a.x", []byte("new")); err != nil {
		t.Error(err)
	}
	for _, prefix := range []string{"", ".", "p", "p.*.", "p..", "p.>"} {
		if err := bucket.Purge(ctx, prefix); err == nil {
			t.Errorf("a purge of %q", prefix)
		}
	}
}

func testKeys(t *testing.T, bucket kv.Bucket) {
	ctx := t.Context()
	for _, key := range []string{"keys.b.z", "keys.b.a", "keys.a.b", "keys.a-.b", "keys.b/x", "keysx", "keys.B.c", "keys.b"} {
		if _, err := bucket.Create(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string][]string{
		"keys.b.":  {"keys.b.a", "keys.b.z"},
		"keys.b":   {"keys.b", "keys.b.a", "keys.b.z", "keys.b/x"},
		"keys.a":   {"keys.a-.b", "keys.a.b"},
		"keys.b.a": {"keys.b.a"},
		"keys.":    {"keys.B.c", "keys.a-.b", "keys.a.b", "keys.b", "keys.b.a", "keys.b.z", "keys.b/x"},
		"keysx":    {"keysx"},
		"keys.c":   {},
		"keys.*.":  {},
		"keys. b":  {},
		".":        {},
		"keys..b":  {},
	} {
		if got, err := bucket.Keys(ctx, prefix); err != nil || !slices.Equal(got, want) {
			t.Errorf("Keys(%q) = %q, %v, want %q", prefix, got, err, want)
		}
	}
	if all, err := bucket.Keys(ctx, ""); err != nil || !slices.IsSorted(all) || !slices.Contains(all, "keysx") {
		t.Errorf("Keys(\"\") = %q, %v", all, err)
	}
}

func testBadKeys(t *testing.T, bucket kv.Bucket) {
	for _, key := range []string{"", ".a", "a.", "a..b", "a b", "a*", ">", "a\n", "ä", "_"} {
		if _, err := bucket.Create(t.Context(), key, nil); err == nil {
			t.Errorf("Create took the key %q", key)
		}
		if _, _, err := bucket.Get(t.Context(), key); err == nil || errors.Is(err, kv.ErrNotFound) {
			t.Errorf("Get of the key %q: %v, want it refused", key, err)
		}
	}
}

func testWatch(t *testing.T, bucket kv.Bucket) {
	ctx := t.Context()
	ticks, err := bucket.Watch(ctx, "watch/key")
	expect.NoError(t, err)
	if _, err := bucket.Create(ctx, "watch/other", nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ticks:
		t.Error("tick without a change")
	default:
	}
	var rev uint64
	for _, change := range []func() error{
		func() (err error) { rev, err = bucket.Create(ctx, "watch/key", []byte("x")); return err },
		func() error { return bucket.Delete(ctx, "watch/key", rev) },
	} {
		expect.NoError(t, change())
		expect.Received(t, "a tick", ticks)
	}
}

func testOneWinner(t *testing.T, bucket kv.Bucket) {
	const writers, rounds = 8, 20
	ctx := t.Context()
	if _, err := bucket.Create(ctx, "race/key", []byte("0")); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			read := bucket.Get
			if i%2 > 0 {
				read = bucket.GetLinearized
			}
			for done := 0; done < rounds; {
				value, rev, err := read(ctx, "race/key")
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				if _, err := fmt.Sscan(string(value), &n); err != nil {
					t.Error(err)
					return
				}
				_, err = bucket.Update(ctx, "race/key", fmt.Append(nil, n+1), rev)
				if err == nil {
					done++
				} else if !errors.Is(err, kv.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, _, err := bucket.Get(ctx, "race/key"); err != nil || string(got) != fmt.Sprint(writers*rounds) {
		t.Errorf("counter = %q, %v, want %d", got, err, writers*rounds)
	}
}

func testEndedContext(t *testing.T, bucket kv.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := bucket.Get(ctx, "ended"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: %v, want context.Canceled", err)
	}
	if _, err := bucket.Create(ctx, "ended", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Create: %v, want context.Canceled", err)
	}
}
