package node_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// A coordinator shows whether it reaches its lakeFS server though nobody calls, and stops though the
// server does not answer.
func TestACoordinatorWatchesItsLakeFSServer(t *testing.T) {
	noLeaks(t)
	asked, away := make(chan *http.Request, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		select {
		case <-away: // answers do not get through
			w.WriteHeader(http.StatusBadGateway)
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	s := config(t.TempDir())
	s.Catalog.Kind = settings.CatalogLakeFS
	s.LakeFS = settings.LakeFS{URL: server.URL, AccessKeyID: "id", SecretAccessKey: settings.NewSecret("a secret of lakeFS")}
	s.Sources.Allow = []string{"s3://bucket/"}
	reachable := func(p *process) string {
		_, metrics := p.ask("GET", "/metrics", "", "", "")
		for line := range strings.Lines(metrics) {
			if value, ok := strings.CutPrefix(line, `rangefleet_lakefs_reachable{fleet="test"} `); ok {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	p := start(t, node.Coordinator, s)
	if r := expect.Received(t, "a question", asked); r.URL.Path != "/api/v1/healthcheck" || r.Header.Get("Authorization") != "" {
		t.Errorf("it asks %s %s with the login %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}
	p.end()
	close(away)
	p = start(t, node.Coordinator, s)
	expect.Eventually(t, "the server shows as out of reach", func() bool { return reachable(p) == "0" })
	p.end()
}
