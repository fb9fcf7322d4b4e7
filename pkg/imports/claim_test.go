package imports_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func TestClaimTheSameRequestAtOnce(t *testing.T) {
	buckets(t, func(t *testing.T, bucket kv.Bucket) {
		s := imports.NewStore(bucket)
		for round := range 3 { // the first finds no key, the others that of an import that has ended
			const callers = 12
			var wg sync.WaitGroup
			got, errs := make([]string, callers), make([]error, callers)
			for i := range callers {
				wg.Go(func() {
					got[i], errs[i] = s.Claim(t.Context(), newRecord(fmt.Sprintf("id-%d-%d", round, i)))
				})
			}
			wg.Wait()
			expect.NoError(t, errors.Join(errs...))
			if one := slices.Compact(got); len(one) != 1 || len(ids(t, s)) != round+1 {
				t.Fatalf("round %d: one request became %q, and %q are stored", round, got, ids(t, s))
			}
			if r := end(t, s, got[0]); r.Job.ImportID != got[0] {
				t.Fatalf("the record of %s is that of %s", got[0], r.Job.ImportID)
			}
		}
	})
}

func TestClaimAfterACrashBetweenKeyAndRecord(t *testing.T) {
	buckets(t, func(t *testing.T, bucket kv.Bucket) {
		dead := &hooks{Bucket: bucket, create: func(key string) error {
			if strings.HasPrefix(key, "i.") {
				return errors.New("killed")
			}
			return nil
		}}
		if id, err := imports.NewStore(dead).Claim(t.Context(), newRecord("first")); err == nil {
			t.Fatalf("Claim by a process that dies = %s", id)
		}
		s := imports.NewStore(bucket)
		if id := claim(t, s, "second"); id != "first" {
			t.Errorf("the same request became %s: the first process may be about to store its own", id)
		}
		r := get(t, s, "first")
		if r.Job.ImportID != "first" || r.State != imports.Running {
			t.Errorf("adopted record %+v", r)
		}
		// The first process was only slow.
		if err := s.Create(t.Context(), newRecord("first")); err != nil {
			t.Error(err)
		}
		if got := ids(t, s); !slices.Equal(got, []string{"first"}) {
			t.Errorf("records %q, want one", got)
		}
	})
}

func TestClaimOfATooLargeRecordLeavesNothing(t *testing.T) {
	bucket := new(kvtest.Memory)
	s := imports.NewStore(&hooks{Bucket: bucket, create: func(key string) error {
		if strings.HasPrefix(key, "i.") {
			return kv.ErrTooLarge
		}
		return nil
	}})
	if id, err := s.Claim(t.Context(), newRecord("id")); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("Claim = %s, %v", id, err)
	}
	if keys, err := bucket.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Errorf("the bucket holds %q, %v", keys, err)
	}
}

func TestClaim(t *testing.T) {
	s := imports.NewStore(new(kvtest.Memory))
	if id := claim(t, s, "a"); id != "a" {
		t.Fatalf("first Claim = %s", id)
	}
	if id := claim(t, s, "b"); id != "a" {
		t.Errorf("the same request became %s while it runs", id)
	}
	for name, change := range map[string]func(*imports.Record){
		"repository":  func(r *imports.Record) { r.Request.Repository = "x" },
		"branch":      func(r *imports.Record) { r.Request.Branch = "x" },
		"committer":   func(r *imports.Record) { r.Request.Committer = "x" },
		"message":     func(r *imports.Record) { r.Request.Message = "x" },
		"metadata":    func(r *imports.Record) { r.Request.Metadata = map[string]string{"x": "y"} },
		"path":        func(r *imports.Record) { r.Job.Paths = []imports.Path{{URI: "s3://x"}} },
		"destination": func(r *imports.Record) { r.Job.Paths = []imports.Path{{URI: "s3://x", Destination: "x"}} },
		"order": func(r *imports.Record) {
			r.Job.Paths = []imports.Path{{URI: "s3://x", Destination: "x"}, r.Job.Paths[0]}
		},
	} {
		r := newRecord("other-" + name)
		change(&r)
		if id, err := s.Claim(t.Context(), r); err != nil || id != r.Job.ImportID {
			t.Errorf("another %s: Claim = %s, %v, want an import of its own", name, id, err)
		}
	}
	if _, err := s.Apply(t.Context(), "a", func(r imports.Record) (imports.Record, error) { return r.Commit(later, nil, attempt("a")) }); err != nil {
		t.Fatal(err)
	}
	if id := claim(t, s, "c"); id != "a" {
		t.Errorf("the same request became %s while it commits", id)
	}
	if _, err := s.Apply(t.Context(), "a", func(r imports.Record) (imports.Record, error) { return r.Complete(later) }); err != nil {
		t.Fatal(err)
	}
	if id := claim(t, s, "d"); id != "d" || get(t, s, "d").State != imports.Running {
		t.Errorf("the same request after its import ended is %s, want d", id)
	}
}

// busyKV calls before right before the key of a request is deleted.
type busyKV struct {
	kv.Bucket
	before func()
}

func (k busyKV) Delete(ctx context.Context, key string, revision uint64) error {
	if strings.HasPrefix(key, "r.") {
		k.before()
	}
	return k.Bucket.Delete(ctx, key, revision)
}

func TestForgettingAnImportLeavesTheNextOneOfItsRequest(t *testing.T) {
	bucket, ctx := new(kvtest.Memory), t.Context()
	s := imports.NewStore(bucket)
	claim := func(id string) string {
		t.Helper()
		got, err := s.Claim(ctx, imports.New(imports.Job{ImportID: id}, imports.Request{Repository: "repo", Branch: "main"}, time.Now()))
		expect.NoError(t, err)
		return got
	}
	claim("old")
	old, err := s.Apply(ctx, "old", func(r imports.Record) (imports.Record, error) { return r.Cancel(time.Now(), 0) })
	expect.NoError(t, err)
	expect.NoError(t, imports.NewStore(busyKV{bucket, func() { claim("new") }}).Delete(ctx, old))
	if got := claim("again"); got != "new" {
		t.Errorf("the request, made twice, is the imports new and %s", got)
	}
	if _, err := s.Get(ctx, "old"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the old import: %v, want it forgotten", err)
	}
}

// forgetfulKV calls before right before a linearized read.
type forgetfulKV struct {
	kv.Bucket
	before func()
}

func (k forgetfulKV) GetLinearized(ctx context.Context, key string) ([]byte, uint64, error) {
	k.before()
	return k.Bucket.GetLinearized(ctx, key)
}

// An import that is deleted while its request is made again has no record for a moment. It
// must not be taken for one whose record was never stored.
func TestARequestOfAnImportThatIsBeingForgotten(t *testing.T) {
	buckets(t, func(t *testing.T, bucket kv.Bucket) {
		s := imports.NewStore(bucket)
		claim(t, s, "old")
		old := end(t, s, "old")
		forgotten := false
		late := imports.NewStore(forgetfulKV{bucket, func() {
			if err := s.Delete(t.Context(), old); err != nil {
				t.Error(err)
			}
			forgotten = true
		}})
		id := claim(t, late, "new")
		if again := claim(t, s, "again"); again != id || !forgotten {
			t.Errorf("the request, made twice, is the imports %s and %s", id, again)
		}
		if got := ids(t, s); !slices.Equal(got, []string{id}) {
			t.Errorf("the imports are %q, want just %s", got, id)
		}
	})
}

func TestARecordThatCannotBeDecodedBlocksNoRequest(t *testing.T) {
	buckets(t, func(t *testing.T, bucket kv.Bucket) {
		s := imports.NewStore(bucket)
		claim(t, s, "one")
		expect.NoError(t, s.Create(t.Context(), newRecord("other")))
		spoil(t, bucket, "i.one", "no record")
		if _, err := s.Get(t.Context(), "one"); !fault.Is(err, fault.Broken) || !strings.Contains(err.Error(), "i.one of the bucket imports") {
			t.Errorf("Get: %v", err)
		}
		if _, err := s.Apply(t.Context(), "one", func(r imports.Record) (imports.Record, error) { return r, nil }); !fault.Is(err, fault.Broken) {
			t.Errorf("Apply: %v", err)
		}
		get(t, s, "other")
		if all := ids(t, s); !slices.Equal(all, []string{"one", "other"}) {
			t.Errorf("IDs = %q", all)
		}
		if got := claim(t, s, "two"); got != "two" {
			t.Errorf("the request of the import that cannot be read became %s, want a new one", got)
		}
		keys, err := bucket.Keys(t.Context(), "r.")
		if err != nil || len(keys) != 1 {
			t.Fatalf("requests %q, %v", keys, err)
		}
		spoil(t, bucket, keys[0], "no ID at all\x00")
		if got := claim(t, s, "three"); got != "three" {
			t.Errorf("a request that names no import became %s, want a new one", got)
		}
	})
}
