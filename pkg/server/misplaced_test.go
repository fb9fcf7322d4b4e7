package server

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/audit"
)

// A secret in a wrong place, such as the login of a URL, is neither logged nor recorded nor a
// label of a metric, and errors do not repeat it.
func TestMisplacedSecretsStayUnwritten(t *testing.T) {
	const secret = "S3cr3tOfTheClient0123456789"
	const ranges = "/api/v1/repositories/lake/branches/ranges"
	var recorded, answered bytes.Buffer
	auditLog, err := audit.Open("", &recorded, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	expect.NoError(t, err)
	f := newFixture(t, func(c *Config) { c.Audit = auditLog.Record })
	ask := func(method, target, body string, header http.Header) {
		if w := f.do(method, target, body, header); w.Code >= http.StatusBadRequest {
			answered.Write(w.Body.Bytes())
		}
	}
	for _, source := range []string{
		"s3://AKID:" + secret + "@bucket/x", "s3://" + secret + "@bucket/", "https://AKID:" + secret + "@host/x",
		"s3://bucket/x?X-Amz-Signature=" + secret, "s3://bucket/x?X-Amz-Security-Token=" + secret, "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=" + secret,
	} {
		ask("POST", importPath, `{"source_uri":"`+source+`","prepend":""}`, nil)
		ask("POST", importPath, `{"paths":[{"path":"`+source+`","type":"object","destination":""}],"commit":{"message":"m"}}`, nil)
		ask("POST", ranges, `{"fromSourceURI":"`+source+`","after":"","prepend":""}`, nil)
		ask("POST", "/api/v1/sources/trials", `{"source":"`+source+`"}`, nil)
		ask("POST", "/api/v1/repositories", `{"name":"pond","storage_namespace":"`+source+`"}`, nil)
	}
	for _, header := range []http.Header{
		{"Authorization": {basic(secret, "x")}},
		{"Authorization": {basic(testKey, secret)}},
		{"Authorization": {"Bearer " + secret}},
		{"Authorization": {secret}},
		{"Authorization": nil, "Cookie": {"internal_auth_session=" + secret}},
		{"X-Request-Id": {secret + "\n"}},
		{"X-Forwarded-For": {secret}},
		{"Referer": {"https://h/?code=" + secret}},
	} {
		ask("DELETE", "/api/v1/repositories/lake", "", header)
	}
	ask("POST", loginPath, `{"access_key_id":"`+secret+`","secret_access_key":"`+secret+`"}`, nil)
	ask("GET", OIDCCallback+"?code="+url.QueryEscape(secret)+"&state="+secret, "", nil)
	ask("POST", "/sso/saml", "SAMLResponse="+secret, nil)
	ask("GET", "/debug/pprof/cmdline?"+secret, "", nil)
	ended, end := context.WithCancel(t.Context())
	end()
	auditLog.Run(ended)
	written := map[string]string{"log": f.log.String(), "audit log": recorded.String(), "errors": answered.String()}
	written["metrics"] = f.do("GET", "/metrics", "", nil).Body.String()
	for name, text := range written {
		for line := range strings.Lines(text) {
			if strings.Contains(line, secret) {
				t.Errorf("%s: %s", name, line)
			}
		}
		if text == "" {
			t.Errorf("the %s is empty", name)
		}
	}
}
