package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// Names in the imports of the tests. They must not show in metrics.
const (
	repository = "repo-that-is-no-label"
	bucket     = "hive-150k"
	imported   = "imported/"
)

// lifeRounds is how many rounds live takes, one with each of its faults.
const lifeRounds = 4

// live makes imports and injects faults.
func (c *cluster) live(ctx context.Context) {
	c.t.Helper()
	cl := c.client(0)
	_, err := cl.CreateRepository(ctx, api.RepositoryCreation{Name: repository, StorageNamespace: "s3://ns/" + repository})
	for n := 0; n < lifeRounds && err == nil; n++ {
		err = c.round(ctx, cl, fmt.Sprintf("branch-%d", n), n)
	}
	if err != nil {
		c.t.Fatalf("run imports: %v", err)
	}
}

// round makes an import during which a fault occurs, one that fails, and one that is canceled.
func (c *cluster) round(ctx context.Context, cl *client.Client, branch string, n int) error {
	if _, err := cl.CreateBranch(ctx, repository, branch, "main"); err != nil {
		return err
	}
	id, err := c.begin(ctx, cl, branch, "s3://"+bucket+"/", imported)
	if err != nil {
		return err
	}
	if err := c.await(ctx, cl, branch, id, 30_000); err != nil {
		return err
	}
	if err := c.injectFault(ctx, n); err != nil {
		return err
	}
	if err := c.await(ctx, cl, branch, id, -1); err != nil {
		return err
	}
	if _, err := c.begin(ctx, cl, branch, "s3://no-such-bucket/", imported); err != nil {
		return err
	}
	canceled, err := c.begin(ctx, c.client(1), "main", largeBucket, imported)
	if err != nil {
		return err
	}
	if err := c.await(ctx, cl, "main", canceled, 1); err != nil {
		return err
	}
	return cl.CancelImport(ctx, repository, "main", canceled)
}

// injectFault kills a worker, deletes all partitions in NATS, or kills a NATS server or the
// coordinators. Killed processes are restarted.
func (c *cluster) injectFault(ctx context.Context, n int) error {
	var victims []*pod
	switch n % lifeRounds {
	case 0:
		victims = c.pods["worker"][:1]
	case 1:
		return c.losePartitions(ctx)
	case 2:
		victims = c.pods["coordinator"]
	case 3:
		victims = c.pods["nats"][:1]
	}
	for _, v := range victims {
		if err := v.Restart(); err != nil {
			return err
		}
	}
	return nil
}

// begin starts an import, unless one of the same source to the same destination runs.
func (c *cluster) begin(ctx context.Context, cl *client.Client, branch, source, destination string) (string, error) {
	return cl.StartImport(ctx, repository, branch, api.ImportPathsCreation{
		Paths:  []api.ImportLocation{{Type: "common_prefix", Path: source, Destination: destination}},
		Commit: api.CommitCreation{Message: "import " + source},
	})
}

// await waits until an import has that many objects or, if objects < 0, until it has completed.
func (c *cluster) await(ctx context.Context, cl *client.Client, branch, id string, objects int64) error {
	err := await.Until(ctx, patience, func(ctx context.Context) (bool, error) {
		status, err := cl.ImportStatus(ctx, repository, branch, id)
		if err == nil && status.Error.Message != "" {
			err = errors.New(status.Error.Message)
		}
		return status.Completed || objects >= 0 && status.IngestedObjects >= objects, err
	})
	if err != nil {
		return fmt.Errorf("wait for import %s: %w", id, err)
	}
	return nil
}

// losePartitions deletes all partitions from the queue.
func (c *cluster) losePartitions(ctx context.Context) error {
	return c.inNATS(func(js jetstream.JetStream) error {
		work, err := js.Stream(ctx, "WORK")
		if err != nil {
			return err
		}
		return work.Purge(ctx)
	})
}

// inNATS calls f with the state of the fleet.
func (c *cluster) inNATS(f func(js jetstream.JetStream) error) error {
	conn, err := nats.Connect("nats://"+c.pods["nats"][1].addresses[4222], nats.UserInfo("rangefleet", secret["nats_password"]))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return f(js)
}

// checkLabels checks that no metric shows the repository, a bucket, a branch or a key.
func checkLabels(t *testing.T, c *cluster) {
	t.Helper()
	for name, port := range map[string]int32{"coordinator": 8000, "worker": 8080} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.pods[name][0].addresses[port]+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(text), "rangefleet_") {
			t.Fatalf("metrics of %s: %v\n%s", name, err, text)
		}
		checkMetrics(t, name, text)
		for _, word := range []string{repository, bucket, "branch-0", "AKIA"} {
			if strings.Contains(string(text), word) {
				t.Errorf("the metrics of %s contain %q", name, word)
			}
		}
	}
}

// checkMetrics checks metrics by promtool, which knows how names and units are written.
func checkMetrics(t *testing.T, process string, text []byte) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), prometheusProgram(t, "promtool"), "check", "metrics")
	cmd.Stdin = bytes.NewReader(text)
	if said, err := cmd.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("promtool check metrics of %s: %v\n%s", process, err, said)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	if n > mostSeries {
		t.Errorf("%s shows %d series, want at most %d", process, n, mostSeries)
	}
}

// mostSeries is how many series a process shows at most.
const mostSeries = 500
