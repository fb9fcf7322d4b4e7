// Package storetest is the conformance test suite of objectstore.Store.
package storetest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Harness is one kind of store under test.
type Harness struct {
	// Store is empty below Base.
	Store objectstore.Store
	// Base begins all keys of the test; empty or ending in '/'.
	Base string
	// Missing is a store, and Gone a prefix in it, of a bucket or a directory
	// that does not exist.
	Missing objectstore.Store
	Gone    string
	// Files says that keys are paths: no key is another's directory, and no
	// name is longer than 255 bytes.
	Files bool
}

// Run runs every test against stores that open makes, one for each test.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for _, tc := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"awkward keys", testAwkward},
		{"after", testAfter},
		{"prefix", testPrefix},
		{"paging", testPaging},
		{"stopping early", testStop},
		{"round trip", testRoundTrip},
		{"parts of an object", testParts},
		{"a limit of bytes", testLimit},
		{"not found", testNotFound},
		{"cancelled", testCancelled},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

// awkward returns keys that have shown faults of stores, encodings and comparisons.
func awkward(h Harness) []string {
	keys := []string{
		"a!", "a/b", "a0", "a b", "a+b", "a%3Ab", "a%", "a%25", "a:b", "a&b", "a<b", "a>b", `a"b`, "a'b", "a&amp;b",
		"a#b", "a?b", "a=b", "a\\b", "a*b", "a,b;c", "a~b", "a|b", "a^b", "a`b", "{a}", "[a]", "$a", "@a", " a", "a ",
		"a/b c/d+e/f", "a/.hidden", "a/..b", "A", "Z/z", "é", "e\u0301", "日本語/キー", "\ue000", "\uffee", "𐀀", "😀/😀", "a\U0010ffff",
		strings.Repeat("l/", 249) + strings.Repeat("m", 250), // shorter than 1000 bytes for there is Base, too
	}
	if !h.Files {
		keys = append(keys, "a", "a/", "a/b/", "a/b/c", "a//b", strings.Repeat("é", 500))
	}
	for i, key := range keys {
		keys[i] = h.Base + key
	}
	slices.Sort(keys)
	return keys
}

func testAwkward(t *testing.T, h Harness) {
	t.Helper()
	want := awkward(h)
	fill(t, h.Store, want)
	for _, o := range expectKeys(t, h.Store, h.Base, "", want) {
		body := content(o.Key)
		if sum := md5.Sum(body); o.ETag != hex.EncodeToString(sum[:]) || o.Size != int64(len(body)) {
			t.Errorf("object %q has ETag %q and size %d, want %x and %d", o.Key, o.ETag, o.Size, sum, len(body))
		}
		if age := time.Since(o.ModTime); age < -time.Hour || age > time.Hour {
			t.Errorf("object %q was modified at %v, want about now", o.Key, o.ModTime)
		}
		if got, err := h.Store.Stat(t.Context(), o.Key); err != nil || got != o {
			t.Errorf("Stat(%q) = %+v, %v, want what was listed: %+v", o.Key, got, err, o)
		}
	}
}

// testAfter lists after each key, and after strings that are no keys.
func testAfter(t *testing.T, h Harness) {
	t.Helper()
	keys := awkward(h)
	fill(t, h.Store, keys)
	afters := slices.Clone(keys)
	for _, key := range keys {
		_, size := lastRune(key)
		afters = append(afters, key+"!", key[:len(key)-size], key[:len(key)-size]+"\U0010fffe")
	}
	for _, after := range afters {
		i, found := slices.BinarySearch(keys, after)
		if found {
			i++
		}
		expectKeys(t, h.Store, h.Base, after, keys[i:])
	}
	expectKeys(t, h.Store, h.Base, " ", keys) // sorts before them all
	expectKeys(t, h.Store, h.Base+"a/", h.Base+"A", keysWith(keys, h.Base+"a/"))
	expectKeys(t, h.Store, h.Base+"a/", h.Base+"é", nil) // lies beyond all keys with the prefix
}

func lastRune(s string) (r rune, size int) {
	for i, c := range s {
		r, size = c, len(s)-i
	}
	return r, size
}

func testPrefix(t *testing.T, h Harness) {
	t.Helper()
	var keys []string
	for _, key := range []string{"dir/pre", "dir/pre-x", "dir/pre1/x", "dir/pre1/y/z", "dir/pre2", "dir/prf", "dir/p", "dir2/pre", "di"} {
		keys = append(keys, h.Base+key)
	}
	slices.Sort(keys)
	fill(t, h.Store, keys)
	for _, prefix := range []string{"", "d", "dir", "dir/", "dir/p", "dir/pre", "dir/pre1", "dir/pre1/", "dir/pre1/y", "dir/zzz", "dir2"} {
		want := keysWith(keys, h.Base+prefix)
		expectKeys(t, h.Store, h.Base+prefix, "", want)
		for i, after := range want {
			expectKeys(t, h.Store, h.Base+prefix, after, want[i+1:])
		}
	}
}

func keysWith(keys []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// testPaging lists more objects than a page of S3 holds.
func testPaging(t *testing.T, h Harness) {
	t.Helper()
	const seed, n = 7, 2345
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, seed))
	set := map[string]bool{}
	for len(set) < n {
		set[fmt.Sprintf("%sp/%c/%s%d", h.Base, 'a'+rng.IntN(3), strings.Repeat("x", rng.IntN(3)), rng.IntN(1e6))] = true
	}
	keys := slices.Sorted(maps.Keys(set))
	fill(t, h.Store, keys)
	expectKeys(t, h.Store, h.Base+"p/", "", keys)
	for _, i := range []int{0, 998, 999, 1000, 1999, n - 2, n - 1} {
		expectKeys(t, h.Store, h.Base+"p/", keys[i], keys[i+1:])
	}
}

func testStop(t *testing.T, h Harness) {
	t.Helper()
	keys := awkward(h)
	fill(t, h.Store, keys)
	for page, err := range h.Store.List(t.Context(), h.Base, "", objectstore.ListOptions{}) {
		if err != nil || string(page[0].Key) != keys[0] {
			t.Fatalf("first page %+v, %v, want it to start at %q", page, err, keys[0])
		}
		break
	}
}

func testRoundTrip(t *testing.T, h Harness) {
	t.Helper()
	ctx := t.Context()
	key := h.Base + "new/directory/object 1"
	for _, size := range []int{0, 1, 3 << 20} { // beyond 2 MiB the S3 client asks before it sends
		body := make([]byte, size)
		rng := rand.New(rand.NewPCG(1, uint64(size)))
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
		if err := h.Store.Put(ctx, key, body, objectstore.Sum{}); err != nil {
			t.Fatalf("Put of %d bytes: %v", size, err)
		}
		got, err := h.Store.Get(ctx, key, 8<<20)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("Get after Put of %d bytes: %d bytes, %v", size, len(got), err)
		}
		o, err := h.Store.Stat(ctx, key)
		if sum := md5.Sum(body); err != nil || o.Key != key || o.Size != int64(size) || o.ETag != hex.EncodeToString(sum[:]) {
			t.Fatalf("Stat after Put of %d bytes: %+v, %v", size, o, err)
		}
		expectKeys(t, h.Store, h.Base, "", []string{key})
	}
}

// testParts gets parts of objects, and what lies behind their ends.
func testParts(t *testing.T, h Harness) {
	t.Helper()
	ctx, key, empty := t.Context(), h.Base+"parts/x", h.Base+"parts/empty"
	body := []byte(strings.Repeat("0123456789", 1000))
	for key, body := range map[string][]byte{key: body, empty: nil} {
		if err := h.Store.Put(ctx, key, body, objectstore.Sum{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ offset, n int64 }{
		{0, 1}, {0, 10_000}, {0, 20_000}, {9_999, 1}, {9_999, 7}, {1234, 4321}, {9_000, 1 << 40},
	} {
		want := body[tc.offset:min(int64(len(body)), tc.offset+tc.n)]
		part, size, err := h.Store.GetRange(ctx, key, tc.offset, tc.n)
		if err != nil || size != int64(len(body)) || !bytes.Equal(part, want) {
			t.Errorf("%d bytes at %d: got %d bytes of %d, %v, want %d of %d", tc.n, tc.offset, len(part), size, err, len(want), len(body))
		}
	}
	if part, size, err := h.Store.GetRange(ctx, empty, 0, 10); err != nil || size != 0 || len(part) != 0 {
		t.Errorf("the begin of an empty object: %q of %d, %v", part, size, err)
	}
	for _, offset := range []int64{10_000, 10_001, 1 << 40} {
		if part, _, err := h.Store.GetRange(ctx, key, offset, 1); !errors.Is(err, objectstore.ErrRefused) || !strings.Contains(err.Error(), key) {
			t.Errorf("a byte at %d of %d: %q, %v, want ErrRefused that names the key", offset, len(body), part, err)
		}
	}
	if _, _, err := h.Store.GetRange(ctx, h.Base+"parts/none", 0, 1); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("a part of nothing: %v, want ErrNotFound", err)
	}
}

// testLimit gets an object that is as large as may be, and one byte larger.
func testLimit(t *testing.T, h Harness) {
	t.Helper()
	ctx, key := t.Context(), h.Base+"limited/x"
	body := []byte(strings.Repeat("x", 1000))
	if err := h.Store.Put(ctx, key, body, objectstore.Sum{}); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Store.Get(ctx, key, 1000); err != nil || !bytes.Equal(got, body) {
		t.Errorf("1000 bytes with a limit of 1000: %d, %v", len(got), err)
	}
	for _, limit := range []int64{999, 0} {
		_, err := h.Store.Get(ctx, key, limit)
		if !errors.Is(err, objectstore.ErrTooLarge) || !objectstore.Permanent(err) || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "1000") {
			t.Errorf("1000 bytes with a limit of %d: %v, want ErrTooLarge that names key and size", limit, err)
		}
	}
}

func testNotFound(t *testing.T, h Harness) {
	t.Helper()
	ctx := t.Context()
	fill(t, h.Store, []string{h.Base + "present/x"})
	for _, key := range []string{"absent", "present", "present/", "present/x/y", "present/xx", "none/x"} {
		_, errStat := h.Store.Stat(ctx, h.Base+key)
		_, errGet := h.Store.Get(ctx, h.Base+key, 8<<20)
		_, _, errRange := h.Store.GetRange(ctx, h.Base+key, 0, 1)
		for call, err := range map[string]error{"Stat": errStat, "Get": errGet, "GetRange": errRange} {
			if !errors.Is(err, objectstore.ErrNotFound) || !strings.Contains(err.Error(), h.Base+key) {
				t.Errorf("%s(%q) = %v, want ErrNotFound with the key", call, key, err)
			}
		}
	}
	if _, err := list(ctx, h.Missing, h.Gone, ""); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("List of what does not exist: %v, want ErrNotFound", err)
	}
}

func testCancelled(t *testing.T, h Harness) {
	t.Helper()
	key := h.Base + "x"
	fill(t, h.Store, []string{key})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, errList := list(ctx, h.Store, h.Base, "")
	_, errStat := h.Store.Stat(ctx, key)
	_, errGet := h.Store.Get(ctx, key, 8<<20)
	_, _, errRange := h.Store.GetRange(ctx, key, 0, 1)
	for call, err := range map[string]error{
		"List": errList, "Stat": errStat, "Get": errGet, "GetRange": errRange, "Put": h.Store.Put(ctx, key, []byte("other"), objectstore.Sum{}),
	} {
		if !errors.Is(err, context.Canceled) || objectstore.Permanent(err) {
			t.Errorf("%s with a cancelled context: %v, want context.Canceled and nothing else", call, err)
		}
	}
	if body, err := h.Store.Get(t.Context(), key, 8<<20); err != nil || !bytes.Equal(body, content(key)) {
		t.Errorf("after a cancelled Put: %q, %v, want the object as it was", body, err)
	}
}

// content returns the content of the object with a key.
func content(key string) []byte { return []byte("content of " + key) }

// fill puts objects, several at a time and not in order.
func fill(t *testing.T, s objectstore.Store, keys []string) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(16)
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(keys)) {
		g.Go(func() error { return s.Put(ctx, keys[i], content(keys[i]), objectstore.Sum{}) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// list returns the objects of a listing, in its order.
func list(ctx context.Context, s objectstore.Store, prefix, after string) ([]objectstore.Object, error) {
	var all []objectstore.Object
	for page, err := range s.List(ctx, prefix, after, objectstore.ListOptions{}) {
		if err != nil {
			return all, err
		}
		if len(page) == 0 {
			return all, errors.New("the store handed over an empty page")
		}
		for _, o := range page {
			all = append(all, o.Object())
		}
	}
	return all, nil
}

// expectKeys checks that exactly these keys are listed, in this order.
func expectKeys(t *testing.T, s objectstore.Store, prefix, after string, want []string) []objectstore.Object {
	t.Helper()
	objects, err := list(t.Context(), s, prefix, after)
	if err != nil {
		t.Errorf("List(%q, after %q): %v", prefix, after, err)
		return nil
	}
	got := make([]string, len(objects))
	for i, o := range objects {
		got[i] = o.Key
	}
	if !slices.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("List(%q, after %q) = %d keys, want %d; from key %d on: %q, want %q", prefix, after,
			len(got), len(want), i, head(got[i:]), head(want[i:]))
		return nil
	}
	return objects
}

func head(keys []string) []string { return keys[:min(3, len(keys))] }
