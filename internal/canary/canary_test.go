package canary

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
)

const secret = "s3cr3t/of+the&suite=1"

// A planted secret is found wherever it is, in every form; other text is not.
func TestPlantedSecretsAreFound(t *testing.T) {
	rnd := seeded.Rand(t)
	before := strings.Repeat("b", rnd.IntN(5))
	for form, line := range map[string]string{
		"text":                 "level=INFO msg=" + before + secret + "after",
		"query":                "/callback?code=" + before + url.QueryEscape(secret),
		"hex":                  "goroutine 1: f({0x" + hex.EncodeToString([]byte(secret)) + "})",
		"base64":               base64.StdEncoding.EncodeToString([]byte(before + secret + "?~?~")),
		"JSON Web Token":       "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlc2lnbmF0dXJl",
		"Authorization header": "map[Authorization:[Bearer 0123456789abcdef]]",
		"presigned URL":        "GET /b/k?X-Amz-Signature=0123456789abcdef0123",
		"SAML response":        "body SAMLResponse=PHNhbWxwOlJlc3BvbnNl%2B",
		"session cookie":       "Cookie: internal_auth_session=0123456789abcdef",
		"password of a URL":    "connect to nats://me:pw@nats:4222",
		"":                     "s3cr3t/of+the&suite=2 Basic realm=x https://u:******@h http://h:80/@x eyJ.eyJ",
	} {
		t.Run(form, func(t *testing.T) {
			t.Setenv(variable, t.TempDir())
			Plant(secret, "too short")
			var w writer
			_, _ = io.WriteString(&w, "an ordinary line\n"+line[:len(line)/2])
			_, _ = io.WriteString(&w, line[len(line)/2:]+"\nanother\n")
			got, err := Check(dir())
			expect.NoError(t, err)
			if got.Secrets != 1 || got.Bytes == 0 || len(got.Found) != min(len(form), 1) {
				t.Fatalf("%+v", got)
			}
			if form != "" && (strings.TrimSuffix(got.Found[0].Form, "url") != form || strings.Contains(got.Found[0].Line, secret)) {
				t.Errorf("%+v, want it in the form %s", got.Found[0], form)
			}
		})
	}
}

// What a coordinator shows a person once is planted, and not taken for a log.
func TestAnnouncedSecretsArePlanted(t *testing.T) {
	t.Setenv(variable, t.TempDir())
	var w writer
	_, _ = io.WriteString(&w, "access key  RF1\nsecret key  "+secret+"\n")
	if got, err := Check(dir()); err != nil || got.Secrets != 1 || len(got.Found) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	_, _ = io.WriteString(&w, "msg=\"secret key  "+secret+"\"\n")
	if got, err := Check(dir()); err != nil || len(got.Found) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Secrets that go through HTTP are planted, and errors and metrics are looked at.
func TestHTTPIsWatched(t *testing.T) {
	t.Setenv(variable, t.TempDir())
	answers := map[string]func(http.ResponseWriter){
		"/key":     func(w http.ResponseWriter) { fmt.Fprint(w, `{"secret_access_key":"key-key-key-key"}`) },
		"/token":   func(w http.ResponseWriter) { fmt.Fprint(w, `{"token":"token-token-token"}`) },
		"/cookie":  func(w http.ResponseWriter) { http.SetCookie(w, &http.Cookie{Name: "c", Value: "cookie-cookie-cookie"}) },
		"/metrics": func(w http.ResponseWriter) { fmt.Fprint(w, `m{key="key-key-key-key"} 1`) },
		"/error":   func(w http.ResponseWriter) { http.Error(w, "not token-token-token", http.StatusBadRequest) },
		"/":        func(w http.ResponseWriter) { fmt.Fprint(w, strings.Repeat("cookie-cookie-cookie", 1<<17)) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w) }))
	defer server.Close()
	client := http.Client{Transport: transport{http.DefaultTransport}}
	for path := range answers {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		expect.NoError(t, err)
		req.SetBasicAuth("me", "basic-basic-basic")
		resp, err := client.Do(req)
		expect.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		expect.NoError(t, err)
		expect.NoError(t, resp.Body.Close())
		if path == "/" && len(text) != 20<<17 {
			t.Errorf("%d bytes of a long answer", len(text))
		}
	}
	got, err := Check(dir())
	expect.NoError(t, err)
	if got.Secrets != 5 || len(got.Found) != 2 { // a password, the whole credentials, a key, a token, a cookie
		t.Errorf("%+v", got)
	}
}

// A check of nothing fails, as does one that finds a secret.
func TestCommand(t *testing.T) {
	for name, fill := range map[string]func(){
		"nothing": func() {}, "no output": func() { Plant(secret) }, "no secrets": func() { output([]byte("x\n")) },
		"found": func() { Plant(secret); output([]byte(secret + "\n")) },
		"ok":    func() { Plant(secret); output([]byte("x\n")) },
	} {
		t.Setenv(variable, t.TempDir())
		fill()
		out, err := exec.CommandContext(t.Context(), "go", "run", "./check", dir()).CombinedOutput()
		if (err == nil) != (name == "ok") || strings.Contains(string(out), secret) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// Without a directory, nothing is done.
func TestNothingIsWatched(t *testing.T) {
	t.Setenv(variable, "")
	Plant(secret)
	Environment([]string{"A_PASSWORD=" + secret})
	var w writer
	if n, err := w.Write([]byte(secret)); n != len(secret) || err != nil || len(w.rest) > 0 {
		t.Errorf("%d, %v", n, err)
	}
	before := http.DefaultTransport
	Watch()
	if http.DefaultTransport != before {
		t.Error("requests are watched")
	}
}

func TestEnvironments(t *testing.T) {
	t.Setenv(variable, t.TempDir())
	Environment([]string{"A_SECRET_ACCESS_KEY=secret-secret-1", "A_PASSWORD=secret-secret-2", "A_URL=nats://u:secret-secret-3@h", "A_NAME=not-a-secret-4"})
	output([]byte("x\n"))
	if got, err := Check(dir()); err != nil || got.Secrets != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}
