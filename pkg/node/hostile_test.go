package node_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/node"
)

// Whatever clients name, no label has it, and no name makes a series of its own.
func TestLabelsNameNothingOfClients(t *testing.T) {
	const mark = "zzmark"
	s, files := config(t.TempDir()), t.TempDir()
	source := filepath.Join(files, mark+`-"}{a="b`)
	expect.NoError(t, os.Mkdir(source, 0o700))
	expect.NoError(t, os.WriteFile(filepath.Join(source, mark+`",le="1`), []byte("x"), 0o600))
	s.Local.Allowed = []string{files}
	p := start(t, node.Coordinator, s)
	defer p.end()
	id, secret := p.info.AccessKeyID, p.info.SecretAccessKey
	run := func(n int) {
		repository := fmt.Sprintf("%s-%d", mark, n)
		p.expect(201, "POST", "/api/v1/repositories", id, secret, fmt.Sprintf(`{"name":%q,"storage_namespace":"local://%s/ns-%d","default_branch":"main"}`, repository, files, n))
		path := "/api/v1/repositories/" + repository + "/branches/main/import"
		body, err := json.Marshal(map[string]any{
			"paths":  []any{map[string]any{"path": "local://" + source + "/", "type": "common_prefix", "destination": mark + "/"}},
			"commit": map[string]any{"message": mark},
		})
		expect.NoError(t, err)
		code, answer := p.ask("POST", path, id, secret, string(body))
		var started struct{ ID string }
		expect.NoError(t, json.Unmarshal([]byte(answer), &started))
		if code != 202 {
			t.Fatalf("%d %s", code, answer)
		}
		expect.Eventually(t, "the import ends", func() bool {
			_, status := p.ask("GET", path+"?id="+started.ID, id, secret, "")
			return strings.Contains(status, `"completed":true`)
		})
		for _, target := range []string{"/" + mark, "/api/v1/" + url.PathEscape(mark+`"}`), path + "?id=" + mark, "/api/v1/repositories/" + mark + "x"} {
			p.ask("GET", target, "", "", "")
			p.ask("ZZMARK", target, id, secret, "")
			p.ask("POST", target, id, secret, base64.StdEncoding.EncodeToString([]byte(mark)))
		}
		p.expect(401, "GET", "/api/v1/user", repository, mark, "")
	}
	run(0)
	_, before := p.ask("GET", "/metrics", "", "", "")
	for n := range 10 {
		run(n + 1)
	}
	var after string
	expect.Eventually(t, "the metrics show all imports", func() bool {
		_, after = p.ask("GET", "/metrics", "", "", "")
		return strings.Contains(after, `rangefleet_imports_finished_total{fleet="test",outcome="completed"} 11`+"\n")
	})
	if strings.Contains(strings.ToLower(after), mark) || strings.Contains(after, id) {
		t.Errorf("the metrics name what clients do:\n%s", after)
	}
	if n := len(series(after)); n > 500 || n < 100 {
		t.Errorf("there are %d series, want at most 500", n)
	}
	for _, name := range grown(before, after) {
		t.Errorf("more imports make a new series: %s", name)
	}
}
