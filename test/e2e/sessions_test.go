package e2e_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// sessionsThatEnd is the S3 server with sessions that end after a few seconds: it refuses their
// requests then. Each session lists a few pages. What it asks for beyond these is answered only
// at its end, by the refusal.
type sessionsThatEnd struct {
	s3   *httputil.ReverseProxy
	life time.Duration
	most int // LISTs of a session

	mu      sync.Mutex
	ends    map[string]time.Time // of sessions, by access key
	lists   map[string]int       // that were answered
	refused map[string]int       // requests
}

func newSessionsThatEnd(t *testing.T, life time.Duration, most int) (*sessionsThatEnd, string) {
	t.Helper()
	target, err := url.Parse(ceph.Endpoint)
	expect.NoError(t, err)
	s := &sessionsThatEnd{life: life, most: most, ends: map[string]time.Time{}, lists: map[string]int{}, refused: map[string]int{}}
	s.s3 = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the signature includes the host
		},
		ModifyResponse: s.shorten,
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

var (
	expiration = regexp.MustCompile(`<Expiration>[^<]*</Expiration>`)
	accessKeys = regexp.MustCompile(`<AccessKeyId>([^<]*)</AccessKeyId>`)
	signedBy   = regexp.MustCompile(`Credential=([^/]+)/`)
)

// shorten changes when a session ends, in the answer that begins it.
func (s *sessionsThatEnd) shorten(r *http.Response) error {
	if r.Request.Method != http.MethodPost || r.StatusCode != http.StatusOK {
		return nil
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if key := accessKeys.FindSubmatch(text); key != nil && expiration.Match(text) {
		end := time.Now().Add(s.life).Truncate(time.Second)
		text = expiration.ReplaceAll(text, fmt.Appendf(nil, "<Expiration>%s</Expiration>", end.UTC().Format(time.RFC3339)))
		s.mu.Lock()
		s.ends[string(key[1])] = end
		s.mu.Unlock()
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

func (s *sessionsThatEnd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var id string
	if m := signedBy.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		id = m[1]
	}
	if !s.stands(r, id) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>")
		return
	}
	s.s3.ServeHTTP(w, r)
}

// stands reports whether a request is answered. If it is one too many of its session, it waits for
// the session's end.
func (s *sessionsThatEnd) stands(r *http.Request, id string) bool {
	s.mu.Lock()
	end, ok := s.ends[id]
	if !ok { // it is signed by the fleet itself
		s.mu.Unlock()
		return true
	}
	stands := time.Now().Before(end)
	if list := r.Method == http.MethodGet && strings.Contains(r.URL.RawQuery, "list-type"); stands && list {
		if s.lists[id] < s.most {
			s.lists[id]++
		} else {
			stands = false
		}
	}
	if !stands {
		s.refused[id]++
	}
	s.mu.Unlock()
	if !stands {
		select {
		case <-time.After(time.Until(end)):
		case <-r.Context().Done():
		}
	}
	return stands
}

// sums returns how many sessions listed something, and how many had requests that were refused.
func (s *sessionsThatEnd) sums() (listed, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lists), len(s.refused)
}

// An import whose credentials end several times while it lists loses no key.
func TestAnImportOutlivesTheSessionsOfItsRole(t *testing.T) {
	t.Parallel()
	objects := awkwardObjects(t)
	want := metarangeOf(t, lines(t, objects, awkwardPrefix, destination), smallBreaks)
	arn, err := ceph.CreateRole(t.Context(), "brief-"+strings.ToLower(rand.Text()))
	expect.NoError(t, err)
	store, endpoint := newSessionsThatEnd(t, 6*time.Second, awkwardCount/1000/3)
	settings := append(withRole(arn), "RANGEFLEET_S3_ENDPOINT="+endpoint, "RANGEFLEET_STS_ENDPOINT="+endpoint)
	f := newFleet(t, smallBreaks, shape{nats: 1, workers: 2}, settings...)
	f.repository("repo", awkwardBucket)
	status := f.finish("repo", "main", f.begin("repo", "main", awkwardSource, destination))
	if status.MetarangeID != want {
		t.Errorf("metarange %s, want %s, which lakeFS's packages give", status.MetarangeID, want)
	}
	if listed, refused := store.sums(); listed < 4 || refused < 2 {
		t.Errorf("%d sessions listed the source, and %d were refused something: want more", listed, refused)
	}
	f.compareListing(objects)
}
