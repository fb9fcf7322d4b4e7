package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
)

// assumable is a server of both STS and S3. Its clock is that of the client.
type assumable struct {
	mu     sync.Mutex
	now    time.Time
	life   time.Duration
	begun  []url.Values // the calls of AssumeRole
	lists  []string     // by whom pages were asked for: "access key token"
	answer int          // status of AssumeRole, 0 for a session
	code   string       // of the error that AssumeRole, or a LIST with an old session, is answered
	held   chan struct{}
}

func (a *assumable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	if r.Method == http.MethodPost {
		if a.held != nil {
			<-a.held
		}
		a.assume(w, r)
		return
	}
	_, id, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	id, _, _ = strings.Cut(id, "/")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists = append(a.lists, strings.TrimSpace(id+" "+r.Header.Get("X-Amz-Security-Token")))
	if a.code == "ExpiredToken" && id == "session1" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, "<Error><Code>ExpiredToken</Code><Message>too old</Message></Error>")
		return
	}
	fmt.Fprint(w, `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>team-a/k</Key>`+
		`<LastModified>2024-05-06T07:08:09.123Z</LastModified><ETag>e</ETag><Size>7</Size></Contents></ListBucketResult>`)
}

func (a *assumable) assume(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = append(a.begun, r.PostForm)
	if a.answer != 0 {
		w.Header().Set("X-Amzn-Requestid", "REQ1")
		w.WriteHeader(a.answer)
		if strings.HasPrefix(a.code, "Ceph") { // it answers as S3 does
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>the service's own words</Message></Error>", a.code)
			return
		}
		fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>the service's own words</Message></Error></ErrorResponse>", a.code)
		return
	}
	n := len(a.begun)
	fmt.Fprintf(w, "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>session%d</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"+
		"<SessionToken>token%d</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>", n, n, a.now.Add(a.life).Format(time.RFC3339))
}

// set changes what the server does.
func (a *assumable) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *assumable) time() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *assumable) calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.begun)
}

var sourceRole = roles.Role{
	Source: objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "lake", Key: "team-a/"},
	ARN:    "arn:aws:iam::123456789012:role/team-a", ExternalID: "their-id", SessionName: "rangefleet",
}

// newAssumable returns a server, a client of it, and the client's bucket of a source with a
// role.
func newAssumable(t *testing.T) (*assumable, *Client, *Bucket) {
	t.Helper()
	a := &assumable{now: time.Now(), life: time.Hour}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	c, err := New(t.Context(), Config{
		Endpoint: server.URL, STSEndpoint: server.URL, ForcePathStyle: true, AccessKeyID: "fleet", SecretAccessKey: "the-secret", Now: a.time,
	})
	expect.NoError(t, err)
	b, err := c.SourceBucket(roles.Session{Role: sourceRole, Reach: sourceRole.Source}, false)
	expect.NoError(t, err)
	return a, c, b
}

func readPage(t *testing.T, b *Bucket) error {
	t.Helper()
	_, err := b.ListPage(t.Context(), "team-a/", "", func([]objectstore.Listed) {})
	return err
}

// A source is read only with the credentials of its role, through the SDK and without, and
// other buckets only with the client's own.
func TestASourceIsReadWithItsRole(t *testing.T) {
	a, c, b := newAssumable(t)
	for range 3 {
		expect.NoError(t, readPage(t, b))
	}
	if b.lister.route.Load() == nil {
		t.Error("all pages went through the SDK")
	}
	_, err := b.Stat(t.Context(), "team-a/k")
	expect.NoError(t, err)
	_, err = b.Get(t.Context(), "team-a/k", 1000)
	expect.NoError(t, err)
	_, _, err = b.Identity(t.Context())
	expect.NoError(t, err)
	for _, by := range a.lists {
		if by != "session1 token1" {
			t.Errorf("the source was read by %q", by)
		}
	}
	if len(a.lists) < 6 || len(a.begun) != 1 {
		t.Fatalf("%d calls in %d sessions", len(a.lists), len(a.begun))
	}
	for name, want := range map[string]string{
		"RoleArn": sourceRole.ARN, "ExternalId": "their-id", "RoleSessionName": "rangefleet", "DurationSeconds": "3600",
		"Policy": roles.Session{Role: sourceRole, Reach: sourceRole.Source}.Policy(true),
	} {
		if got := a.begun[0].Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	a.lists = nil
	own, err := c.Bucket("lake")
	expect.NoError(t, err)
	expect.NoError(t, readPage(t, own))
	again, err := c.SourceBucket(roles.Session{Role: sourceRole, Reach: sourceRole.Source}, false)
	expect.NoError(t, err)
	expect.NoError(t, readPage(t, again))
	if a.lists[0] != "fleet" || a.lists[len(a.lists)-1] != "session1 token1" || len(a.begun) != 1 {
		t.Errorf("read by %q in %d sessions", a.lists, len(a.begun))
	}
}

// A session is renewed before it ends, and nobody waits for that. If STS is down, the session
// goes on until its end. Then calls fail, with a transient error, until STS is back.
func TestSessionsAreRenewed(t *testing.T) {
	a, _, b := newAssumable(t)
	expect.NoError(t, readPage(t, b))
	a.set(func() { a.now = a.now.Add(44 * time.Minute) })
	expect.NoError(t, readPage(t, b))
	if n := a.calls(); n != 1 {
		t.Fatalf("%d sessions after 44 minutes", n)
	}
	a.set(func() {
		a.now, a.answer, a.code = a.now.Add(2*time.Minute), http.StatusServiceUnavailable, "ServiceUnavailable"
	})
	expect.NoError(t, readPage(t, b))
	expect.Eventually(t, "a session is asked for", func() bool { return a.calls() == 2 })
	for n := 3; n < 6; n++ { // while the outage goes on
		expect.Eventually(t, "the failure is noted", func() bool {
			_, _, due, err := b.calls.session.look()
			return !due && err == nil
		})
		expect.NoError(t, readPage(t, b))
		if a.calls() != n-1 {
			t.Fatal("a call that failed was repeated at once")
		}
		a.set(func() { a.now = a.now.Add(mostRetry) })
		expect.NoError(t, readPage(t, b))
		expect.Eventually(t, "a session is asked for again", func() bool { return a.calls() == n })
	}
	a.set(func() { a.now = a.now.Add(time.Hour) })
	if err := readPage(t, b); err == nil || !errors.Is(err, objectstore.ErrThrottled) || objectstore.Permanent(err) {
		t.Errorf("after the end of the session: %v, want a transient error", err)
	}
	a.set(func() { a.now, a.answer = a.now.Add(mostRetry), 0 })
	expect.NoError(t, readPage(t, b))
	if last := a.lists[len(a.lists)-1]; last != fmt.Sprintf("session%d token%d", len(a.begun), len(a.begun)) {
		t.Errorf("read by %s after %d calls", last, len(a.begun))
	}
}

// Credentials that the store calls too old are replaced, and the call is repeated. If they are
// new, the store does not know them, and is not asked again.
// A request that was signed in a session and refused after the next one has begun ends neither.
func TestRequestsOfAnEarlierSession(t *testing.T) {
	a, _, b := newAssumable(t)
	expect.NoError(t, readPage(t, b))
	a.set(func() { a.code, a.now = "ExpiredToken", a.now.Add(2*time.Minute) })
	expect.Eventually(t, "a page by another session", func() bool { return readPage(t, b) == nil })
	s := b.calls.session
	if !s.outlived("session1") {
		t.Error("a request of the first session is not tried again")
	}
	expect.NoError(t, readPage(t, b))
	if n := a.calls(); n != 2 {
		t.Errorf("%d sessions", n)
	}
	if s.outlived("session2") {
		t.Error("a session that has just begun is too old")
	}
}

// A session that is due for renewal may have ended, however short it was.
func TestShortSessions(t *testing.T) {
	a, _, b := newAssumable(t)
	a.set(func() { a.life = 20 * time.Second })
	expect.NoError(t, readPage(t, b))
	a.set(func() { a.code, a.now = "ExpiredToken", a.now.Add(14*time.Second) })
	if err := readPage(t, b); !errors.Is(err, objectstore.ErrRefused) {
		t.Errorf("before it is due: %v, want ErrRefused", err)
	}
	a.set(func() { a.now = a.now.Add(2 * time.Second) })
	expect.Eventually(t, "a page by another session", func() bool {
		err := readPage(t, b)
		if errors.Is(err, objectstore.ErrRefused) {
			t.Fatal(err)
		}
		return err == nil
	})
}

func TestSessionsThatEndEarly(t *testing.T) {
	a, _, b := newAssumable(t)
	expect.NoError(t, readPage(t, b))
	a.set(func() { a.code = "ExpiredToken" })
	if err := readPage(t, b); !errors.Is(err, objectstore.ErrRefused) {
		t.Errorf("new credentials: %v, want ErrRefused", err)
	}
	a.set(func() { a.now = a.now.Add(2 * time.Minute) })
	if err := readPage(t, b); err == nil || objectstore.Permanent(err) {
		t.Errorf("old credentials: %v, want a transient error", err)
	}
	expect.NoError(t, readPage(t, b))
	if n := a.calls(); n != 2 {
		t.Errorf("%d sessions", n)
	}
}

// Many callers begin one session. One that gives up does not end it for the others.
func TestCallersShareASession(t *testing.T) {
	a, c, b := newAssumable(t)
	a.held = make(chan struct{})
	results := make(chan error, 20)
	for range cap(results) {
		go func() { results <- readPage(t, b) }()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.calls.session.Retrieve(ctx); !errors.Is(err, ctx.Err()) {
		t.Errorf("a caller that gave up: %v", err)
	}
	close(a.held)
	for range cap(results) {
		expect.NoError(t, expect.Received(t, "a page", results))
	}
	if n := a.calls(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	for i := range maxSessions + 10 {
		reach := sourceRole.Source.Join(fmt.Sprint(i))
		_, err := c.SourceBucket(roles.Session{Role: sourceRole, Reach: reach}, false)
		expect.NoError(t, err)
	}
	if n := len(c.sessions.all); n > maxSessions {
		t.Errorf("%d sessions are kept", n)
	}
	expect.NoError(t, readPage(t, b))
}

// An error says which role could not be assumed, for which source, and why. Only errors that a
// repetition cannot mend are permanent.
func TestRolesThatAreRefused(t *testing.T) {
	for _, tc := range []struct {
		status int
		code   string
		want   error // nil: transient
	}{
		{403, "AccessDenied", objectstore.ErrRole},
		{404, "CephNoSuchEntity", objectstore.ErrRole},
		{403, "InvalidClientTokenId", objectstore.ErrRefused},
		{400, "MalformedPolicyDocument", objectstore.ErrRefused},
		{302, "Found", objectstore.ErrRefused},
		{400, "Throttling", objectstore.ErrThrottled},
		{503, "ServiceUnavailable", objectstore.ErrThrottled},
		{500, "InternalFailure", nil},
	} {
		a, _, b := newAssumable(t)
		a.answer, a.code = tc.status, tc.code
		for call, err := range eachCall(t, b) {
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || objectstore.Permanent(err) != errors.Is(tc.want, objectstore.ErrRefused) {
				t.Errorf("%s: %s: %v, want %v", tc.code, call, err, tc.want)
				continue
			}
			for _, words := range []string{sourceRole.ARN, sourceRole.Source.String(), tc.code, "the service's own words"} {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%s: %v, want it to say %q", call, err, words)
				}
			}
			if strings.Contains(err.Error(), "the-secret") || strings.Contains(err.Error(), "operation error") {
				t.Errorf("%v", err) // the latter are words of the SDK
			}
		}
		if len(a.lists) > 0 {
			t.Errorf("%s: the source was read without its role, by %q", tc.code, a.lists)
		}
		if a.calls() > 1 {
			t.Errorf("%s: %d calls at once", tc.code, a.calls())
		}
	}
}

// What answers in place of STS cannot make the client go on without credentials.
func TestAnswersThatAreNoSession(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":  "<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>",
		"no token": "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
		"ended":    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>1999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
		"no XML":   "hello",
	} {
		calls := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				calls++
			}
			fmt.Fprint(w, answer)
		}))
		defer server.Close()
		c, err := New(t.Context(), Config{Endpoint: server.URL, STSEndpoint: server.URL, ForcePathStyle: true, AccessKeyID: "fleet", SecretAccessKey: "s"})
		expect.NoError(t, err)
		b, err := c.SourceBucket(roles.Session{Role: sourceRole, Reach: sourceRole.Source}, false)
		expect.NoError(t, err)
		if err := readPage(t, b); err == nil || objectstore.Permanent(err) || calls > 0 {
			t.Errorf("%s: %v after %d calls, want a transient error", name, err, calls)
		}
	}
}

// STS is guarded as S3 is: with an endpoint, connections lead only there, without one only to
// public addresses, and redirects are not followed.
func TestConnectionsToSTSAreGuarded(t *testing.T) {
	target := newAccepting(t)
	redirect := httptest.NewServer(http.RedirectHandler("http://"+target.Addr().String(), http.StatusTemporaryRedirect))
	defer redirect.Close()
	for name, cfg := range map[string]Config{"endpoint": {STSEndpoint: redirect.URL}, "none": {}} {
		cfg.AccessKeyID, cfg.SecretAccessKey = "fleet", "s"
		c, err := New(t.Context(), cfg)
		expect.NoError(t, err)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+target.Addr().String(), http.NoBody)
		expect.NoError(t, err)
		answer, err := c.sessions.sts.Options().HTTPClient.Do(request)
		if err == nil {
			_ = answer.Body.Close()
		}
		if refused, ok := errors.AsType[*refusedDial](err); !ok || refused.setting != "sts.endpoint" {
			t.Errorf("%s: %v", name, err)
		}
		if name == "none" {
			continue
		}
		b, err := c.SourceBucket(roles.Session{Role: sourceRole, Reach: sourceRole.Source}, false)
		expect.NoError(t, err)
		if err := readPage(t, b); !errors.Is(err, objectstore.ErrRefused) {
			t.Errorf("a redirect: %v", err)
		}
	}
	if n := target.seen(t); n > 0 {
		t.Errorf("%d connections were made", n)
	}
	b := func() *Bucket {
		c, err := New(t.Context(), Config{STSEndpoint: "http://sts.invalid", AccessKeyID: "fleet", SecretAccessKey: "s"})
		expect.NoError(t, err)
		b, err := c.SourceBucket(roles.Session{Role: sourceRole, Reach: sourceRole.Source}, false)
		expect.NoError(t, err)
		return b
	}()
	if err := readPage(t, b); !errors.Is(err, objectstore.ErrSettings) || !strings.Contains(err.Error(), "sts.endpoint") {
		t.Errorf("a host that does not exist: %v", err)
	}
}
