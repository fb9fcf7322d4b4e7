package s3_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
)

// tenants is a bucket of several teams, on a server that has STS.
type tenants struct {
	server s3test.Server
	bucket string
	role   string
	clock  atomic.Int64 // added to the time of the client
	begun  atomic.Int64 // sessions
	client *s3store.Client
}

func newTenants(t *testing.T, server s3test.Server, role string) *tenants {
	t.Helper()
	tn := &tenants{server: server, bucket: strings.ToLower(t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]) + "-tenants-" + strings.ToLower(rand.Text()), role: role}
	var keys []string
	for _, team := range []string{"team-a/", "team-a/x/", "team-a-secret/", "team-b/", "z", "team c+d/e%20f/"} {
		for i := range 30 {
			keys = append(keys, fmt.Sprintf("%s%03d", team, i))
		}
	}
	expect.NoError(t, server.Load(t.Context(), tn.bucket, keys))
	cfg := server.Config()
	cfg.STSEndpoint, cfg.PageKeys = server.Endpoint, 7
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(tn.clock.Load())) }
	cfg.Assumed = func(_ time.Time, err error) {
		if err == nil {
			tn.begun.Add(1)
		}
	}
	var err error
	tn.client, err = s3store.New(t.Context(), cfg)
	expect.NoError(t, err)
	return tn
}

// in returns the bucket in a session that reaches a prefix.
func (tn *tenants) in(t *testing.T, reach string) *s3store.Bucket {
	t.Helper()
	at := objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: tn.bucket}
	b, err := tn.client.SourceBucket(roles.Session{Role: roles.Role{Source: at, ARN: tn.role, SessionName: "rangefleet"}, Reach: at.Join(reach)}, true)
	expect.NoError(t, err)
	return b
}

// count lists all keys with a prefix.
func count(t *testing.T, b *s3store.Bucket, prefix string) (n int, err error) {
	t.Helper()
	for page, err := range b.List(t.Context(), prefix, "", objectstore.ListOptions{}) {
		if err != nil {
			return n, err
		}
		n += len(page)
	}
	return n, nil
}

// A session of a role reads what it reaches, and the store itself refuses all else. A listing
// goes on over a change of sessions.
func TestRolesOnRealStores(t *testing.T) {
	for name, start := range map[string]func() (s3test.Server, string, error){
		"ceph": func() (s3test.Server, string, error) {
			arn, err := ceph.CreateRole(t.Context(), "reader-"+strings.ToLower(rand.Text()))
			return ceph, arn, err
		},
		"minio": func() (s3test.Server, string, error) {
			return s3test.MinIO(t), "arn:minio:iam:::role/any", nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, arn, err := start()
			expect.NoError(t, err)
			tn := newTenants(t, server, arn)
			readsWhatItReaches(t, tn)
			readsNothingElse(t, tn)
			listsOverSessions(t, tn)
		})
	}
}

func readsWhatItReaches(t *testing.T, tn *tenants) {
	t.Helper()
	for reach, want := range map[string]int{"team-a/": 60, "team-a/x/": 30, "team-a-secret/": 30, "team c+d/e%20f/": 30} {
		b := tn.in(t, reach)
		if n, err := count(t, b, reach); n != want || err != nil {
			t.Errorf("listed %d keys of %q, %v, want %d", n, reach, err, want)
		}
		key := reach + "000"
		if body, err := b.Get(t.Context(), key, 1000); err != nil || string(body) != key {
			t.Errorf("%q: got %q, %v", key, body, err)
		}
		if o, err := b.Stat(t.Context(), key); err != nil || o.Key != key {
			t.Errorf("%q: stat %+v, %v", key, o, err)
		}
	}
}

func readsNothingElse(t *testing.T, tn *tenants) {
	t.Helper()
	for _, reach := range []string{"team-a/", "team-a/x/"} {
		b := tn.in(t, reach)
		for _, prefix := range []string{"", "team", "team-a", "team-a-secret/", "team-b/", "z"} {
			if n, err := count(t, b, prefix); n > 0 || !errors.Is(err, objectstore.ErrRefused) {
				t.Errorf("a session to %q listed %d keys of %q: %v", reach, n, prefix, err)
			}
		}
		for _, key := range []string{"team-a-secret/000", "team-b/000", "z000"} {
			if body, err := b.Get(t.Context(), key, 1000); len(body) > 0 || !errors.Is(err, objectstore.ErrRefused) {
				t.Errorf("a session to %q read %q: %v", reach, key, err)
			}
		}
		if err := b.Put(t.Context(), reach+"new", []byte("x"), objectstore.Sum{}); !errors.Is(err, objectstore.ErrRefused) {
			t.Errorf("a session to %q wrote into it: %v", reach, err)
		}
		if err := b.Delete(t.Context(), reach+"000"); !errors.Is(err, objectstore.ErrRefused) {
			t.Errorf("a session to %q deleted in it: %v", reach, err)
		}
	}
}

// A role that does not exist, or that does not trust the user, cannot be assumed.
func TestRolesThatCannotBeAssumed(t *testing.T) {
	arn, err := ceph.CreateRole(t.Context(), "trusting-"+strings.ToLower(rand.Text()))
	expect.NoError(t, err)
	stranger, unknown := ceph, ceph
	stranger.AccessKeyID = "nobody"
	unknown.SecretAccessKey += "x"
	for name, tc := range map[string]struct {
		server s3test.Server
		arn    string
		code   string
	}{
		"a role that does not exist": {ceph, arn + "-none", "NoSuchEntity"}, "a key that does not exist": {stranger, arn, "InvalidAccessKeyId"},
		"a wrong secret": {unknown, arn, "SignatureDoesNotMatch"},
	} {
		cfg := tc.server.Config()
		cfg.STSEndpoint = tc.server.Endpoint
		client, err := s3store.New(t.Context(), cfg)
		expect.NoError(t, err)
		at := objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "bucket"}
		b, err := client.SourceBucket(roles.Session{Role: roles.Role{Source: at, ARN: tc.arn, SessionName: "rangefleet"}, Reach: at}, true)
		expect.NoError(t, err)
		_, err = count(t, b, "")
		if !errors.Is(err, objectstore.ErrRole) || !strings.Contains(err.Error(), tc.arn) || !strings.Contains(err.Error(), tc.code) || strings.Contains(err.Error(), tc.server.SecretAccessKey) {
			t.Errorf("%s: %v, want ErrRole", name, err)
		}
	}
}

// listsOverSessions lists while the clock makes sessions old.
func listsOverSessions(t *testing.T, tn *tenants) {
	t.Helper()
	b := tn.in(t, "team-a/")
	before := tn.begun.Load()
	due := map[int]time.Duration{14: 47 * time.Minute, 35: 58 * time.Minute} // by the number of keys; a session is due after three quarters of what is left
	var keys []string
	for page, err := range b.List(t.Context(), "team-a/", "", objectstore.ListOptions{}) {
		expect.NoError(t, err)
		for _, o := range page {
			keys = append(keys, string(o.Key))
		}
		if later := due[len(keys)]; later > 0 {
			n := tn.begun.Load()
			tn.clock.Store(int64(later))
			expect.Eventually(t, "a new session begins", func() bool {
				_, err := b.Stat(t.Context(), "team-a/000")
				return err == nil && tn.begun.Load() > n
			})
			tn.clock.Store(0)
		}
	}
	if len(keys) != 60 || !slices.IsSorted(keys) || tn.begun.Load() < before+2 {
		t.Errorf("%d keys in %d sessions", len(keys), tn.begun.Load()-before)
	}
}
