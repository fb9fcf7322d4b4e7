package samllogin_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin/samltest"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

const (
	publicURL = "https://imports.example.com"
	idp       = "https://idp.example.com"
)

// life is how long the provider may take.
const life = 10 * time.Minute

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// fixture is a fleet with logins at one provider.
type fixture struct {
	*samllogin.Logins
	provider *samltest.Provider
	bucket   kv.Bucket
	config   samllogin.Config
	now      atomic.Pointer[time.Time]
}

// shared are the keys of all tests: making some takes long.
var shared = sync.OnceValues(func() (samllogin.Key, *samltest.Provider) {
	k, err := samllogin.OpenKey(context.Background(), &kvtest.Memory{}, time.Now)
	if err != nil {
		panic(err)
	}
	return k, samltest.New(idp, start)
})

func newFixture(t testing.TB, change ...func(*samllogin.Config)) *fixture {
	t.Helper()
	key, provider := shared()
	f := &fixture{provider: provider, bucket: &kvtest.Memory{}}
	f.set(start)
	sealer, err := auth.OpenSealer(t.Context(), f.bucket)
	expect.NoError(t, err)
	now := func() time.Time { return *f.now.Load() }
	f.config = samllogin.Config{PublicURL: publicURL, Key: key, Sealer: sealer, Used: once.New(f.bucket, now), Now: now}
	for _, c := range change {
		c(&f.config)
	}
	f.Logins = f.coordinator(t)
	return f
}

// coordinator returns the logins of another coordinator of the fleet.
func (f *fixture) coordinator(t testing.TB) *samllogin.Logins {
	t.Helper()
	l, err := samllogin.New(f.config, []byte(f.provider.Metadata()))
	expect.NoError(t, err)
	return l
}

func (f *fixture) set(now time.Time) { f.now.Store(&now) }

// begin begins a login, and returns what the provider would say of ann, and the cookie.
func (f *fixture) begin(t testing.TB) (samltest.Login, http.Header) {
	t.Helper()
	location, cookie, err := f.Begin("/wanted", true)
	expect.NoError(t, err)
	l := samltest.Answer(location, f.config.Now())
	l.NameID, l.Values = "ann", map[string][]string{"groups": {"team-a"}}
	return l, header(cookie.Name, cookie.Value)
}

func header(name, value string) http.Header { return http.Header{"Cookie": {name + "=" + value}} }

func wantRefused(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("%s: %v, want that it is refused", what, err)
	}
}

func TestALogin(t *testing.T) {
	for name, respond := range map[string]func(*samltest.Provider, samltest.Login) string{
		"signed assertion": (*samltest.Provider).Respond, "signed response": (*samltest.Provider).RespondWhole, "both": (*samltest.Provider).RespondTwice,
	} {
		f := newFixture(t)
		l, cookie := f.begin(t)
		expect.NoError(t, f.Accept(t.Context(), samltest.Encode(respond(f.provider, l))))
		user, returnTo, err := f.Finish(t.Context(), cookie, true)
		expect.NoError(t, err)
		if user.Provider != access.SAML || user.Issuer != idp || user.Subject != "ann" || returnTo != "/wanted" ||
			!user.Expires.Equal(start.Add(8*time.Hour)) || !maps.EqualFunc(user.Claims, l.Values, func(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") }) {
			t.Errorf("%s: %+v, %q", name, user, returnTo)
		}
	}
}

func TestARequestNamesTheServerAndIsSigned(t *testing.T) {
	f := newFixture(t)
	location, _, err := f.Begin("/", true)
	expect.NoError(t, err)
	if l := samltest.Answer(location, start); l.ACS != publicURL+"/sso/acs" || l.Audience != publicURL+"/sso/metadata" || !strings.HasPrefix(location, samltest.SignOn+"?") {
		t.Errorf("%s: %+v", location, l)
	}
	u, err := url.Parse(location)
	expect.NoError(t, err)
	if q := u.Query(); q.Get("SigAlg") != "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" || q.Get("Signature") == "" || q.Has("RelayState") {
		t.Errorf("%v", q)
	}
}

func TestForgeriesAreRefused(t *testing.T) {
	f := newFixture(t)
	for _, forgery := range samltest.Forgeries() {
		t.Run(forgery.Name, func(t *testing.T) {
			l, cookie := f.begin(t)
			err := f.Accept(t.Context(), samltest.Encode(forgery.Make(f.provider, l)))
			wantRefused(t, "response", err)
			t.Log(err)
			_, _, err = f.Finish(t.Context(), cookie, true)
			wantRefused(t, "login", err)
			expect.NoError(t, f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l)))) // the forgery did no harm
		})
	}
}

// What is refused by its form is refused for that: other checks need not hold.
func TestTheFormIsCheckedFirst(t *testing.T) {
	f := newFixture(t)
	want := map[string]string{
		"wrapping 4: the signed assertion within another": "an assertion within", "two assertions in a signed response": "several elements Assertion",
		"an encrypted assertion": "encrypted", "an encrypted user": "encrypted", "a document type": "a document type", "a comment in the user": "a comment",
		"another document": "not one response", "another document after the end": "not one response", "an empty response": "0 assertions",
	}
	for _, forgery := range samltest.Forgeries() {
		if reason := want[forgery.Name]; reason != "" {
			l, _ := f.begin(t)
			if err := f.Accept(t.Context(), samltest.Encode(forgery.Make(f.provider, l))); err == nil || !strings.Contains(err.Error(), reason) {
				t.Errorf("%s: %v", forgery.Name, err)
			}
			delete(want, forgery.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("there are no forgeries %q", want)
	}
}

func TestAResponseIsAcceptedOnce(t *testing.T) {
	f := newFixture(t)
	l, cookie := f.begin(t)
	both := []*samllogin.Logins{f.Logins, f.coordinator(t)}
	response := samltest.Encode(f.provider.Respond(l))
	// times returns how often something succeeds that coordinators do at the same time.
	times := func(do func(*samllogin.Logins) error) int64 {
		var n atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if err := do(both[i%2]); err == nil {
					n.Add(1)
				} else {
					wantRefused(t, "again", err)
				}
			})
		}
		all.Wait()
		return n.Load()
	}
	if n := times(func(l *samllogin.Logins) error { return l.Accept(t.Context(), response) }); n != 1 {
		t.Errorf("accepted %d times", n)
	}
	if n := times(func(l *samllogin.Logins) error {
		_, _, err := l.Finish(t.Context(), cookie, true)
		return err
	}); n != 1 {
		t.Errorf("finished %d times", n)
	}
	wantRefused(t, "after the end", f.Accept(t.Context(), response))
	wantRefused(t, "another response", f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))))
}

func TestALoginIsOfOneBrowser(t *testing.T) {
	f := newFixture(t)
	l, _ := f.begin(t)
	_, other := f.begin(t)
	expect.NoError(t, f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))))
	for what, cookie := range map[string]http.Header{
		"another browser": other, "no cookie": {}, "the request as a cookie": header("__Host-rangefleet_saml_login", strings.TrimPrefix(l.Request, "id-")),
	} {
		_, _, err := f.Finish(t.Context(), cookie, true)
		wantRefused(t, what, err)
	}
	_, cookie, _ := strings.Cut(other.Get("Cookie"), "=")
	l, _ = f.begin(t)
	l.Request = strings.TrimPrefix(l.Request, "id-")
	wantRefused(t, "a request of another form", f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))))
	l.Request = "id-" + cookie
	wantRefused(t, "a cookie as the request", f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))))
}

func TestALoginMustNotTakeLong(t *testing.T) {
	f := newFixture(t)
	respond := func(l samltest.Login) error {
		l.Now, l.Until = f.config.Now(), f.config.Now().Add(time.Minute)
		return f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l)))
	}
	l, cookie := f.begin(t)
	f.set(start.Add(life))
	wantRefused(t, "late response", respond(l))
	f.set(start.Add(life - time.Second))
	expect.NoError(t, respond(l))
	f.set(start.Add(life + time.Minute))
	_, _, err := f.Finish(t.Context(), cookie, true)
	wantRefused(t, "late browser", err)
	f.set(start.Add(life + 59*time.Second))
	_, _, err = f.Finish(t.Context(), cookie, true)
	expect.NoError(t, err)
}

func TestClocksMayDifferALittle(t *testing.T) {
	f := newFixture(t)
	for _, ahead := range []time.Duration{29 * time.Second, -29 * time.Second} {
		l, _ := f.begin(t)
		l.Now = start.Add(ahead)
		l.Until = start.Add(-time.Second) // expired here, not there
		if ahead > 0 {
			l.Until = start.Add(time.Minute)
		}
		if err := f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))); err != nil {
			t.Errorf("%v: %v", ahead, err)
		}
	}
}

func TestASessionLastsNoLongerThanTheProviderSays(t *testing.T) {
	f := newFixture(t)
	for said, want := range map[time.Duration]time.Duration{time.Hour: time.Hour, 24 * time.Hour: 8 * time.Hour} {
		l, cookie := f.begin(t)
		l.SessionTo = start.Add(said)
		expect.NoError(t, f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))))
		user, _, err := f.Finish(t.Context(), cookie, true)
		if err != nil || !user.Expires.Equal(start.Add(want)) {
			t.Errorf("%v: until %v, %v", said, user.Expires, err)
		}
	}
}

func TestAnAttributeNamesTheUser(t *testing.T) {
	f := newFixture(t, func(c *samllogin.Config) { c.UserAttribute = "uid" })
	for _, tc := range []struct {
		values []string
		ok     bool
	}{{[]string{"bob"}, true}, {nil, false}, {[]string{"bob", "carl"}, false}} {
		l, cookie := f.begin(t)
		l.Values, l.Format = map[string][]string{"uid": tc.values}, "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
		err := f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l)))
		if !tc.ok {
			wantRefused(t, strings.Join(tc.values, " "), err)
			continue
		}
		expect.NoError(t, err)
		if user, _, err := f.Finish(t.Context(), cookie, true); err != nil || user.Subject != "bob" {
			t.Errorf("%+v, %v", user, err)
		}
	}
}

func TestAnEntityIDOfOnesOwn(t *testing.T) {
	f := newFixture(t, func(c *samllogin.Config) { c.EntityID = "urn:example:imports" })
	l, _ := f.begin(t)
	if l.Audience != "urn:example:imports" {
		t.Errorf("the request is of %q", l.Audience)
	}
	l.Audience = publicURL + "/sso/metadata"
	wantRefused(t, "the default", f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))))
	l.Audience = "urn:example:imports"
	expect.NoError(t, f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))))
}

func TestAnotherProviderIsTrustedInstead(t *testing.T) {
	f := newFixture(t)
	next := samltest.New(idp, start)
	l, _ := f.begin(t)
	wantRefused(t, "before", f.Accept(t.Context(), samltest.Encode(next.Respond(l))))
	expect.NoError(t, f.Trust([]byte(next.Metadata())))
	if err := f.Trust([]byte("<x/>")); err == nil {
		t.Error("metadata that are none are accepted")
	}
	wantRefused(t, "the old one", f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))))
	expect.NoError(t, f.Accept(t.Context(), samltest.Encode(next.Respond(l))))
}

func TestWrongMetadataAreRefused(t *testing.T) {
	key, provider := shared()
	good := provider.Metadata()
	certificate := good[strings.Index(good, "<X509Certificate>")+17 : strings.Index(good, "</X509Certificate>")]
	key1024, err := rsa.GenerateKey(rand.Reader, 1024)
	expect.NoError(t, err)
	short, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{}, &x509.Certificate{}, key1024.Public(), key1024)
	expect.NoError(t, err)
	for _, change := range [][2]string{
		{certificate, base64.StdEncoding.EncodeToString(short)}, {samltest.SignOn, "/sso"},
	} {
		if _, err := samllogin.New(samllogin.Config{PublicURL: publicURL, Key: key}, []byte(strings.ReplaceAll(good, change[0], change[1]))); err == nil || change[0] == certificate && !strings.Contains(err.Error(), "1024 bits") {
			t.Errorf("%.40s for %.40s: %v", change[1], change[0], err)
		}
	}
	for old, replacement := range map[string]string{
		good: "", "EntityDescriptor": "EntitiesDescriptor", idp + `"`: `"`, idp: "a|b", "IDPSSODescriptor": "SPSSODescriptor",
		"HTTP-Redirect": "HTTP-POST", samltest.SignOn: "ftp://idp.example.com/sso", certificate: "AAAA", "signing": "encryption",
	} {
		if _, err := samllogin.New(samllogin.Config{PublicURL: publicURL, Key: key}, []byte(strings.ReplaceAll(good, old, replacement))); err == nil {
			t.Errorf("%.40s for %.40s is accepted", replacement, old)
		} else {
			t.Log(err)
		}
	}
}

func TestMetadata(t *testing.T) {
	text, err := newFixture(t).Metadata()
	expect.NoError(t, err)
	for part, times := range map[string]int{
		`entityID="` + publicURL + `/sso/metadata"`: 1, `AuthnRequestsSigned="true"`: 1, `WantAssertionsSigned="true"`: 1, `use="signing"`: 1, `use="encryption"`: 0,
		`Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"`: 1, `Location="` + publicURL + `/sso/acs"`: 1, "HTTP-Artifact": 0, "validUntil": 0,
	} {
		if n := strings.Count(string(text), part); n != times {
			t.Errorf("%s: %d times, want %d, in\n%s", part, n, times, text)
		}
	}
}

// broken is a bucket of a NATS that is away.
type broken struct{ kv.Bucket }

var errAway = errors.New("NATS is away")

func (broken) Create(context.Context, string, []byte) (uint64, error) { return 0, errAway }

func (broken) GetLinearized(context.Context, string) ([]byte, uint64, error) { return nil, 0, errAway }

func TestAnOutageRefusesNobody(t *testing.T) {
	f := newFixture(t, func(c *samllogin.Config) { c.Used = once.New(broken{}, c.Now) })
	l, cookie := f.begin(t)
	if err := f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))); !errors.Is(err, errAway) || errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("Accept: %v", err)
	}
	if _, _, err := f.Finish(t.Context(), cookie, true); !errors.Is(err, errAway) || errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("Finish: %v", err)
	}
}

func TestCoordinatorsShareAKey(t *testing.T) {
	bucket := &kvtest.Memory{}
	first, err := samllogin.OpenKey(t.Context(), bucket, time.Now)
	expect.NoError(t, err)
	second, err := samllogin.OpenKey(t.Context(), bucket, time.Now)
	expect.NoError(t, err)
	f := newFixture(t)
	var told []string
	for _, k := range []samllogin.Key{f.config.Key, first, second} {
		f.config.Key = k
		text, err := f.coordinator(t).Metadata()
		expect.NoError(t, err)
		told = append(told, string(text))
	}
	if told[0] == told[1] || told[1] != told[2] {
		t.Errorf("metadata of another fleet and of two coordinators of one: %q", told)
	}
}

func TestUsersHaveNamesOfAKind(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"", "*", "${user}", "a/b", "admin ", " admin", "x\ny", "x\x7fy", "ä", strings.Repeat("x", 300)} {
		l, _ := f.begin(t)
		l.NameID = name
		wantRefused(t, name, f.Accept(t.Context(), samltest.Encode(f.provider.Respond(l))))
	}
}
