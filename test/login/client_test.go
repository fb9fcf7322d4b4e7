package login_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// client keeps cookies as a browser does, and follows no redirects.
type client struct {
	t   *testing.T
	url string
	*http.Client
}

func newClient(t *testing.T, c coordinator) client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	expect.NoError(t, err)
	return client{t, c.url, &http.Client{
		Jar: jar, Timeout: expect.Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// request asks for a path of the coordinator.
func (c client) request(path string) *http.Response {
	c.t.Helper()
	a, err := c.Get(c.url + path)
	expect.NoError(c.t, err)
	return a
}

// post posts a response of a SAML provider, as a page of it does.
func (c client) post(response string) *http.Response {
	c.t.Helper()
	body := url.Values{"SAMLResponse": {response}}.Encode()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+"/sso/acs", strings.NewReader(body))
	expect.NoError(c.t, err)
	r.Header = http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://idp.example.com"}, "Sec-Fetch-Site": {"cross-site"},
	}
	a, err := c.Do(r)
	expect.NoError(c.t, err)
	return a
}

func (c client) get(path string) (code int, location string) {
	c.t.Helper()
	return c.answer(c.request(path))
}

// answer returns the status of an answer, and where it leads.
func (c client) answer(a *http.Response) (code int, location string) {
	c.t.Helper()
	expect.NoError(c.t, a.Body.Close())
	return a.StatusCode, a.Header.Get("Location")
}

// wantInvalid checks that an answer refuses a login, and says nothing but that.
func (c client) wantInvalid(what string, a *http.Response) {
	c.t.Helper()
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	expect.NoError(c.t, err)
	if got := strings.TrimSpace(string(body)); a.StatusCode != http.StatusBadRequest || got != `{"message":"invalid login"}` || len(a.Cookies()) > 0 {
		c.t.Errorf("%s: %d %s, cookies %v", what, a.StatusCode, got, a.Cookies())
	}
}
