package s3store

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/netclass"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// accepting is a listener on this machine that counts the connections that it accepts.
type accepting struct {
	net.Listener
	mu sync.Mutex
	n  int
}

func newAccepting(t *testing.T) *accepting {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	a := &accepting{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			a.mu.Lock()
			a.n++
			a.mu.Unlock()
		}
	}()
	return a
}

// seen returns how many connections were accepted, after one more that it makes itself.
func (a *accepting) seen(t *testing.T) int {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", a.Addr().String())
	expect.NoError(t, err)
	_, _ = conn.Read(make([]byte, 1)) // ends once it was accepted, and so were all before it
	_ = conn.Close()
	n := 0
	expect.Eventually(t, "the listener counts", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		n = a.n
		return n > 0
	})
	return n - 1
}

func (a *accepting) port() string {
	_, port, _ := net.SplitHostPort(a.Addr().String())
	return port
}

// refusals collects the classes of refused connections.
type refusals struct {
	mu  sync.Mutex
	all map[netclass.Class]int
}

func (r *refusals) add(c netclass.Class) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make(map[netclass.Class]int)
	}
	r.all[c]++
}

// led returns a bucket of a client without an endpoint, whose requests an attacker has led to
// a URL in spite of that.
func led(t *testing.T, to string, resolver *net.Resolver, seen *refusals) *Bucket {
	t.Helper()
	cfg := Config{AccessKeyID: "id", SecretAccessKey: "the-secret", Region: "us-east-1", Refused: seen.add}
	c, err := New(t.Context(), cfg)
	expect.NoError(t, err)
	g, err := guarding(cfg, "s3.endpoint", "", true)
	expect.NoError(t, err)
	g.resolver = resolver
	awsCfg, err := loadConfig(t.Context(), cfg)
	expect.NoError(t, err)
	client, err := guarded(awsCfg.HTTPClient, g, "")
	expect.NoError(t, err)
	c.s3 = s3.New(c.s3.Options(), func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle, o.HTTPClient = aws.String(to), true, client
	})
	c.direct.transport = client.Transport
	b, err := c.Bucket("bucket")
	expect.NoError(t, err)
	return b
}

// rebound is a resolver by which every name leads to an address of this machine.
func rebound(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	expect.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(leadingHome(b[:n]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// leadingHome answers a question of the DNS for an address of IPv4 with 127.0.0.1, and any
// other with nothing.
func leadingHome(question []byte) []byte {
	const header = 12
	end := header
	for question[end] != 0 {
		end += 1 + int(question[end])
	}
	end += 5 // the root, type and class
	answer := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question[header:end]...)
	if question[end-3] == 1 { // A
		answer[7] = 1
		answer = append(answer, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	return answer
}

// Without an endpoint, no packet goes to an address that is not public: not if it is named,
// nor if a name in the DNS leads there.
func TestNoConnectionLeadsInside(t *testing.T) {
	target := newAccepting(t)
	for _, tc := range []struct {
		name, host string
		resolver   *net.Resolver
		class      netclass.Class
	}{
		{"this machine", "127.0.0.1", nil, netclass.Loopback},
		{"this machine, in a form of IPv6", "[::ffff:127.0.0.1]", nil, netclass.Loopback},
		{"this machine, by no address", "0.0.0.0", nil, netclass.Unspecified},
		{"the metadata service", "169.254.169.254", nil, netclass.Metadata},
		{"a private network", "10.0.0.1", nil, netclass.Private},
		{"a name that is in no DNS", "localhost", nil, netclass.Loopback},
		{"a name that the DNS leads home", "innocent.example.org", rebound(t), netclass.Loopback},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var seen refusals
			b := led(t, "http://"+tc.host+":"+target.port(), tc.resolver, &seen)
			for call, err := range eachCall(t, b) {
				if !errors.Is(err, objectstore.ErrSettings) || !strings.Contains(err.Error(), string(tc.class)+" address") ||
					!strings.Contains(err.Error(), "s3.endpoint") || strings.Contains(err.Error(), "the-secret") {
					t.Errorf("%s: %v", call, err)
				}
			}
			if len(seen.all) != 1 || seen.all[tc.class] == 0 {
				t.Errorf("counted %v", seen.all)
			}
		})
	}
	if n := target.seen(t); n > 0 {
		t.Errorf("%d connections were made", n)
	}
}

// eachCall makes calls of all kinds, with the SDK and without.
func eachCall(t *testing.T, b *Bucket) map[string]error {
	t.Helper()
	_, errGet := b.Get(t.Context(), "k", 10)
	_, errPage := b.ListPage(t.Context(), "", "", func([]objectstore.Listed) {})
	_, _, errIdentity := b.Identity(t.Context())
	to, err := url.Parse(aws.ToString(b.calls.client.s3.Options().BaseEndpoint))
	expect.NoError(t, err)
	to.Path = "/bucket"
	b.lister.route.Store(&route{url: *to, host: to.Host, path: "/bucket"})
	_, errDirect := b.ListPage(t.Context(), "", "", func([]objectstore.Listed) {})
	return map[string]error{"get": errGet, "list": errPage, "identity": errIdentity, "direct": errDirect}
}

// An endpoint may be anywhere. Redirects that lead away from it are not followed.
func TestRedirectsLeadNowhere(t *testing.T) {
	target := newAccepting(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+target.Addr().String()+r.URL.Path, status)
		}))
		defer server.Close()
		c, err := New(t.Context(), Config{Endpoint: server.URL, ForcePathStyle: true, AccessKeyID: "id", SecretAccessKey: "s"})
		expect.NoError(t, err)
		b, err := c.Bucket("bucket")
		expect.NoError(t, err)
		for call, err := range eachCall(t, b) {
			if call != "identity" && !errors.Is(err, objectstore.ErrRefused) {
				t.Errorf("%d: %s: %v, want ErrRefused", status, call, err)
			}
		}
	}
	c, err := New(t.Context(), Config{Endpoint: "http://127.0.0.1:1", AccessKeyID: "id", SecretAccessKey: "s"})
	expect.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+target.Addr().String(), http.NoBody)
	expect.NoError(t, err)
	answer, err := c.direct.transport.RoundTrip(request)
	if err == nil {
		_ = answer.Body.Close()
	}
	if !isA[*refusedDial](err) {
		t.Errorf("a request to another host: %v", err)
	}
	if n := target.seen(t); n > 0 {
		t.Errorf("%d connections were made", n)
	}
}

// With an endpoint, connections lead to its host and port, and to the hosts of its buckets.
func TestConnectionsLeadToTheEndpoint(t *testing.T) {
	for _, tc := range []struct {
		endpoint string
		yes, no  []string
	}{
		{
			"http://store.internal:9000",
			[]string{"store.internal:9000", "bucket.store.internal:9000", "a.b.store.internal:9000", "STORE.internal.:9000"},
			[]string{"store.internal:9001", "store.internal:80", "internal:9000", "evilstore.internal:9000", "169.254.169.254:9000", "store.internal.evil:9000", "store.internal"},
		},
		{"https://store.internal", []string{"store.internal:443", "bucket.store.internal:443"}, []string{"store.internal:80"}},
		{"http://store.internal/path", []string{"store.internal:80"}, []string{"store.internal:443"}},
		{"http://10.0.0.1:9000", []string{"10.0.0.1:9000"}, []string{"10.0.0.2:9000", "bucket.10.0.0.1:9000", "127.0.0.1:9000"}},
		{"http://[::1]:9000", []string{"[::1]:9000"}, []string{"[::2]:9000", "127.0.0.1:9000"}},
	} {
		g, err := guarding(Config{}, "s3.endpoint", tc.endpoint, true)
		expect.NoError(t, err)
		for _, address := range tc.yes {
			if err := g.checkHost(address); err != nil {
				t.Errorf("%s: %v", tc.endpoint, err)
			}
		}
		for _, address := range tc.no {
			if g.checkHost(address) == nil {
				t.Errorf("%s: a connection to %s was let through", tc.endpoint, address)
			}
		}
	}
	for _, endpoint := range []string{"http://", "::", "nothing"} {
		if _, err := New(t.Context(), Config{Endpoint: endpoint, AccessKeyID: "id", SecretAccessKey: "s"}); !errors.Is(err, objectstore.ErrSettings) {
			t.Errorf("%q: %v, want ErrSettings", endpoint, err)
		}
	}
}

// A proxy is used if it is configured, and not because the environment names one. Connections
// then lead to the proxy only.
func TestProxies(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, "http://proxy.invalid:1")
	}
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	get := func(cfg Config) error {
		cfg.AccessKeyID, cfg.SecretAccessKey = "id", "s"
		c, err := New(t.Context(), cfg)
		expect.NoError(t, err)
		b, err := c.Bucket("bucket")
		expect.NoError(t, err)
		_, err = b.Get(t.Context(), "k", 10)
		return err
	}
	c, err := New(t.Context(), Config{AccessKeyID: "id", SecretAccessKey: "s"})
	expect.NoError(t, err)
	if c.direct.transport.(*http.Transport).Proxy != nil {
		t.Error("the transport asks the environment for a proxy")
	}
	if err := get(Config{Proxy: proxy.URL}); err == nil || len(asked) != 1 || !strings.HasPrefix(asked[0], "CONNECT bucket.s3.us-east-1.amazonaws.com:443") {
		t.Errorf("%v, and the proxy was asked %q", err, asked)
	}
	if err := get(Config{Endpoint: "http://store.invalid:1"}); err == nil || !strings.Contains(err.Error(), "store.invalid") || strings.Contains(err.Error(), "proxy") {
		t.Errorf("with a proxy in the environment only: %v", err)
	}
	if _, err := New(t.Context(), Config{Proxy: "http://user:the-secret@[", AccessKeyID: "id", SecretAccessKey: "s"}); err == nil || strings.Contains(err.Error(), "the-secret") {
		t.Errorf("a proxy that is no URL: %v", err)
	}
}

// The credentials of a machine's role come from the machine's own network, where the guard
// lets no call to a store go.
func TestCredentialsOfTheMachine(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const fields = `"AccessKeyId":"machine","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"`
		switch {
		case r.Method == http.MethodPost:
			_, _ = w.Write([]byte("<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>machine</AccessKeyId>" +
				"<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>" +
				"</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"))
		case r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			_, _ = w.Write([]byte("token"))
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
			_, _ = w.Write([]byte("role"))
		default:
			_, _ = w.Write([]byte(`{"Code":"Success",` + fields + `}`))
		}
	}))
	defer server.Close()
	token := filepath.Join(t.TempDir(), "token")
	expect.NoError(t, os.WriteFile(token, []byte("token"), 0o600))
	for name, env := range map[string][]string{
		"instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL},
		"task":     {"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.URL + "/task"},
		"pod":      {"AWS_ENDPOINT_URL_STS", server.URL, "AWS_WEB_IDENTITY_TOKEN_FILE", token, "AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod", "AWS_REGION", "us-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			for i := 0; i < len(env); i += 2 {
				t.Setenv(env[i], env[i+1])
			}
			c, err := New(t.Context(), Config{})
			expect.NoError(t, err)
			if got, err := c.credentials.Retrieve(t.Context()); err != nil || got.AccessKeyID != "machine" {
				t.Errorf("credentials are those of %q, %v", got.AccessKeyID, err)
			}
		})
	}
}

// An address that cannot be parsed is not taken for a public one.
func TestAddressesThatAreNone(t *testing.T) {
	g, err := guarding(Config{}, "s3.endpoint", "", true)
	expect.NoError(t, err)
	for _, address := range []string{"", "x", "1.1.1.1", "localhost:80", "/run/socket"} {
		if g.checkAddress(address) == nil {
			t.Errorf("%q was let through", address)
		}
	}
	if err := g.checkAddress(netip.MustParseAddrPort("52.216.0.1:443").String()); err != nil {
		t.Error(err)
	}
}
