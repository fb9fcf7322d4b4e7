package stores_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
)

// readers is a server of STS and S3 that notes by whom each path and prefix was read. The key of a
// session is the name of its role.
type readers struct {
	mu  sync.Mutex
	all map[string]bool // "reader path?prefix"
}

func (s *readers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if r.Method == http.MethodPost {
		_, role, _ := strings.Cut(r.PostForm.Get("RoleArn"), ":role/")
		if role == "denied" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")
			return
		}
		fmt.Fprintf(w, "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"+
			"<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>", role)
		return
	}
	_, by, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	by, _, _ = strings.Cut(by, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[strings.TrimSuffix(by+" "+r.URL.Path+"?"+r.URL.Query().Get("prefix"), "?")] = true
	if r.Method == http.MethodGet {
		fmt.Fprint(w, `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated></ListBucketResult>`)
	}
}

// rolesOf returns stores of a server, where three sources of a bucket have roles.
func rolesOf(t *testing.T, reg prometheus.Registerer) (*readers, *stores.Stores) {
	t.Helper()
	seen := &readers{all: make(map[string]bool)}
	server := httptest.NewServer(seen)
	t.Cleanup(server.Close)
	var all []roles.Role
	for source, name := range map[string]string{"team-a/": "a", "team-a/secret/": "secret", "team-c/": "denied"} {
		all = append(all, roles.Role{Source: inLake(source), ARN: "arn:aws:iam::1:role/" + name, SessionName: "rangefleet"})
	}
	table, err := roles.NewTable(all)
	expect.NoError(t, err)
	s, err := stores.New(stores.Config{
		S3:    s3store.Config{Endpoint: server.URL, STSEndpoint: server.URL, ForcePathStyle: true, AccessKeyID: "fleet", SecretAccessKey: "s"},
		Roles: table,
	}, reg, slog.New(slog.DiscardHandler))
	expect.NoError(t, err)
	return seen, s
}

func inLake(key string) objectstore.URI {
	return objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "lake", Key: key}
}

// Sources are read with their roles, by every way to read them. Namespaces are not, even if
// they lie in a source.
func TestSourcesAreReadWithTheirRoles(t *testing.T) {
	seen, s := rolesOf(t, nil)
	read := func(store objectstore.Store, err error) func(key string) {
		expect.NoError(t, err)
		return func(key string) {
			for _, err := range store.List(t.Context(), key, "", objectstore.ListOptions{}) {
				expect.NoError(t, err)
			}
			_, err = store.Get(t.Context(), key+"o", 1000)
			expect.NoError(t, err)
		}
	}
	for _, key := range []string{"team-a/x/", "team-a/secret/", "team-b/"} {
		read(s.OpenSource(t.Context(), inLake(key), false))(key)
	}
	read(s.OpenSource(t.Context(), inLake("team-a/"), true))("team-a/")
	read(s.Open(t.Context(), inLake("team-a/_meta/")))("team-a/_meta/")
	at := inLake("team-a/y/")
	_, err := s.Listing(t.Context(), at)
	expect.NoError(t, err)
	b, err := s.Trial(t.Context(), at)
	expect.NoError(t, err)
	_, err = b.Pages.WalkPage(t.Context(), at.Key, "", func([]objectstore.Listed) {})
	expect.NoError(t, err)
	for _, want := range []string{
		"a /lake?team-a/x/", "a /lake/team-a/x/o", "secret /lake?team-a/secret/", "fleet /lake?team-b/", "fleet /lake/team-b/o", "a /lake?team-a/",
		"fleet /lake?team-a/_meta/", "a /lake", "a /lake?team-a/y/",
	} {
		if !seen.all[want] {
			t.Errorf("no call %q among %v", want, seen.all)
		}
	}
	for call := range seen.all {
		if strings.HasPrefix(call, "fleet") && strings.Contains(call, "team-a") && !strings.Contains(call, "_meta") {
			t.Errorf("a source was read without its role: %q", call)
		}
	}
}

// A source that holds one with another role cannot be opened, and one whose role may not be
// assumed cannot be read.
func TestSourcesThatCannotBeRead(t *testing.T) {
	reg := prometheus.NewRegistry()
	seen, s := rolesOf(t, reg)
	for _, key := range []string{"", "team", "team-a/sec"} {
		if _, err := s.OpenSource(t.Context(), inLake(key), false); !errors.Is(err, objectstore.ErrRefused) || !strings.Contains(err.Error(), "role of its own") {
			t.Errorf("%q: %v, want ErrRefused", key, err)
		}
	}
	if _, err := s.Listing(t.Context(), inLake("team-c/")); !errors.Is(err, objectstore.ErrRole) || !strings.Contains(err.Error(), "role/denied to read s3://lake/team-c/") {
		t.Errorf("a role that is denied: %v", err)
	}
	if len(seen.all) > 0 {
		t.Errorf("there were calls: %v", seen.all)
	}
	end := func() float64 {
		return measured.Sum(t, reg, "rangefleet_credentials_not_after_timestamp_seconds", "sts")
	}
	if end() != 0 {
		t.Errorf("credentials that were refused end at %v", end())
	}
	_, err := s.Listing(t.Context(), inLake("team-a/"))
	expect.NoError(t, err)
	for _, result := range []string{"ok", "refused"} {
		if got := measured.Sum(t, reg, "rangefleet_objectstore_roles_assumed_total", result); got != 1 {
			t.Errorf("%v calls were counted as %s", got, result)
		}
	}
	if want := float64(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC).Unix()); end() != want {
		t.Errorf("the credentials end at %v, want %v", end(), want)
	}
}
