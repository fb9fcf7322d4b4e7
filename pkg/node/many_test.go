package node_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/node"
)

// A run with 1,000 imports takes about a minute. The series of 200 grow with them as much.
var many = flag.Int("imports.many", 200, "imports of the process whose series are counted")

// A process that has run many imports shows the same series as after one, and at most 500.
func TestManyImportsMakeNoSeries(t *testing.T) {
	const atOnce = 16 // requests
	s, files := config(t.TempDir()), t.TempDir()
	source := filepath.Join(files, "source")
	expect.NoError(t, os.Mkdir(source, 0o700))
	for n := range 3 {
		expect.NoError(t, os.WriteFile(filepath.Join(source, fmt.Sprint(n)), nil, 0o600))
	}
	s.Local.Allowed = []string{files}
	p := start(t, node.Coordinator, s)
	defer p.end()
	id, secret := p.info.AccessKeyID, p.info.SecretAccessKey
	const repository = "/api/v1/repositories/many"
	p.expect(201, "POST", "/api/v1/repositories", id, secret, fmt.Sprintf(`{"name":"many","storage_namespace":"local://%s/ns","default_branch":"main"}`, files))
	for n := range atOnce {
		p.expect(201, "POST", repository+"/branches", id, secret, fmt.Sprintf(`{"name":"b-%d","source":"main"}`, n))
	}
	run := func(branch, n int) {
		path := fmt.Sprintf("%s/branches/b-%d/import", repository, branch)
		code, answer := p.ask("POST", path, id, secret, fmt.Sprintf(
			`{"paths":[{"path":"local://%s/","type":"common_prefix","destination":"d-%d/"}],"commit":{"message":"m"}}`, source, n))
		var started struct{ ID string }
		if err := json.Unmarshal([]byte(answer), &started); err != nil || code != 202 {
			t.Errorf("import %d: %d %s", n, code, answer)
			return
		}
		if code, answer := p.ask("GET", path+"?id="+started.ID, id, secret, ""); code != 200 {
			t.Errorf("status of import %d: %d %s", n, code, answer)
		}
	}
	completed := func(want int) (metrics string) {
		expect.Within(t, 10*expect.Patience, fmt.Sprintf("the metrics show %d imports", want), func(context.Context) (bool, error) {
			_, metrics = p.ask("GET", "/metrics", "", "", "")
			return strings.Contains(metrics, fmt.Sprintf("rangefleet_imports_finished_total{fleet=\"test\",outcome=\"completed\"} %d\n", want)), nil
		})
		return metrics
	}
	run(0, 0)
	before := completed(1)
	var all sync.WaitGroup
	for branch := range atOnce {
		all.Go(func() {
			for n := branch + 1; n < *many; n += atOnce {
				run(branch, n)
			}
		})
	}
	all.Wait()
	after := completed(*many)
	if n := len(series(after)); n > 500 || n < 100 {
		t.Errorf("there are %d series, want at most 500", n)
	}
	for _, name := range grown(before, after) {
		t.Errorf("more imports make a new series: %s", name)
	}
	t.Logf("%d series after one import, %d after %d", len(series(before)), len(series(after)), *many)
}

// series returns the series of the text format.
func series(metrics string) (names []string) {
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, "#") {
			names = append(names, line[:strings.LastIndex(line, " ")])
		}
	}
	return names
}

// grown returns the series that are new, apart from those of codes of answers, which are shown once
// there was one, and from those of the Go runtime.
func grown(before, after string) (names []string) {
	known := strings.Join(series(before), "\n") + "\n"
	for _, name := range series(after) {
		if !strings.Contains(known, name+"\n") && !strings.Contains(name, "_requests_total{") && !strings.HasPrefix(name, "go_") {
			names = append(names, name)
		}
	}
	return names
}
