package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// audited returns what is recorded with a setting.
func audited(t *testing.T, setting string, do func(*base)) string {
	t.Helper()
	var stderr transcript.Buffer
	b := &base{Env: Env{Log: slog.New(slog.DiscardHandler), Stderr: &stderr}, registry: prometheus.NewRegistry()}
	b.Settings.Audit.Log = setting
	do(b)
	return stderr.String()
}

func TestAuditLogOnStandardError(t *testing.T) {
	caller := access.Caller{User: "ann", Credential: access.Credential{Kind: access.AccessKey, ID: "RF1"}}
	record := imports.Record{
		Job:     imports.Job{ImportID: "i1", Paths: []imports.Path{{Type: imports.CommonPrefix, URI: "s3://b/a/", Destination: "d/"}}},
		Request: imports.Request{Repository: "lake", Branch: "main", Caller: caller},
	}
	refuse := func(b *base) {
		log, end, err := b.startAudit(t.Context())
		expect.NoError(t, err)
		defer end()
		refusals(log)(record, fault.Deny("its access key RF1 is not valid any more"))
	}
	const want = `"operation":"importCommit","user":"ann","credential":{"kind":"access_key","id":"RF1"},"repository":"lake","branch":"main",` +
		`"sources":["s3://b/a/"],"destinations":["d/"],"import":"i1","outcome":"denied","reason":"its access key RF1 is not valid any more"}` + "\n"
	for setting, lines := range map[string]bool{"auto": true, "stderr": true, "off": false} {
		got := audited(t, setting, refuse)
		if (got != "") != lines || lines && !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q", setting, got)
		}
	}
}

// Reloads of rules are recorded.
func TestReloadsAreRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	expect.NoError(t, os.WriteFile(path, []byte("policies: []"), 0o600))
	got := audited(t, "stderr", func(b *base) {
		log, end, err := b.startAudit(t.Context())
		expect.NoError(t, err)
		defer end()
		r, err := openRules(path, prometheus.NewRegistry(), b.Log)
		expect.NoError(t, err)
		r.audit = log
		r.reload()
		expect.NoError(t, os.WriteFile(path, []byte("polices: []"), 0o600))
		r.reload()
	})
	lines := strings.Split(got, "\n")
	taken, refused := `"operation":"reloadRules","file":"`+path+`","outcome":"allowed"}`, `"operation":"reloadRules","file":"`+path+`","outcome":"failed","reason":"`+path
	if len(lines) != 3 || !strings.HasSuffix(lines[0], taken) || !strings.Contains(lines[1], refused) {
		t.Errorf("%s", got)
	}
}
