package deploy_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/api"
)

// longRun is the time of a run with the rules as they are in deploy/.
const longRun = 30 * time.Minute

// healthyFor returns for how long the healthy fleet runs.
func healthyFor(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("HEALTHY_FOR")
	if text == "" {
		return 75 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("HEALTHY_FOR: %v", err)
	}
	return d
}

// ofSpeed are the alerts that tell of slowness: on a busy machine they are right to fire in the short
// run, after a twentieth of the time.
var ofSpeed = []string{"RangefleetImportSlow", "RangefleetNATSSlow", "RangefleetWorkersSaturated"}

// No alert fires while a healthy fleet imports, is upgraded process by process, and is restarted so. For
// the half hour of "make watch-healthy" the rules are those of deploy/. For the short run alerts fire
// after a twentieth of the time.
func TestHealthyFleetRaisesNoAlert(t *testing.T) {
	length, rules := healthyFor(t), string(read(t, "prometheus/alerts.yml"))
	if length < longRun {
		rules = ruleFor.ReplaceAllString(rules, "${1}for: 15s")
		rules = ruleWindow.ReplaceAllString(rules, "[30s]")
	}
	next := built(t, nextImage)
	c := startCluster(t, nil, "-latency", "20ms", "-object-latency", "5ms")
	p := startPrometheus(t, rules, c.addresses)
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	var life sync.WaitGroup
	life.Go(func() { liveWell(ctx, c) })
	c.upgrade(ctx, next)
	life.Wait()
	all, err := p.series(t.Context(), "query", url.Values{"query": {`max_over_time(ALERTS{alertstate="firing"}[1h])`}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if length < longRun && slices.Contains(ofSpeed, s.Metric["alertname"]) {
			t.Logf("the machine is slow: %v", s.Metric)
			continue
		}
		t.Errorf("an alert has fired: %v", s.Metric)
	}
	if greatest, _, err := p.greatest(t.Context(), "sum(rangefleet_worker_objects_covered_total)"); err != nil || greatest == 0 {
		t.Errorf("%v objects were imported: %v", greatest, err)
	}
	for query, want := range map[string]float64{
		"count(count by (version) (last_over_time(rangefleet_build_info[1h])))": 2,
		fmt.Sprintf("count(rangefleet_build_info{version=%q})", nextVersion):    float64(len(c.pods["worker"]) + len(c.pods["coordinator"])),
	} {
		if greatest, _, err := p.greatest(t.Context(), query); err != nil || greatest != want {
			t.Errorf("%s was %v, %v; want %v", query, greatest, err, want)
		}
	}
}

// liveWell makes imports until ctx ends.
func liveWell(ctx context.Context, c *cluster) {
	cl := c.client(0)
	if _, err := cl.CreateRepository(ctx, api.RepositoryCreation{Name: repository, StorageNamespace: "s3://ns/" + repository}); err != nil {
		c.t.Errorf("create a repository: %v", err)
	}
	for n := 0; ctx.Err() == nil; n++ {
		id, err := c.begin(ctx, cl, "main", "s3://"+bucket+"/", imported)
		if err == nil {
			err = c.await(ctx, cl, "main", id, -1)
		}
		if err != nil && ctx.Err() == nil {
			c.t.Errorf("import %d: %v", n, err)
			return
		}
	}
}

// upgrade replaces the programs of workers and coordinators, one process after another, however long that
// takes. Then it restarts them in the same way until ctx ends.
func (c *cluster) upgrade(ctx context.Context, to *image) {
	for pass := c.t.Context(); pass.Err() == nil; pass = ctx {
		for _, name := range []string{"worker", "coordinator"} {
			for i, p := range c.pods[name] {
				if pause.For(pass, 10*time.Second) != nil {
					return
				}
				p.program = to.program(name)
				c.roll(name, i)
			}
		}
	}
}

// roll ends a pod as Kubernetes does, and starts it anew.
func (c *cluster) roll(name string, i int) {
	p := c.pods[name][i]
	if err := p.Cmd.Process.Signal(os.Interrupt); err != nil {
		c.t.Errorf("end %s %d: %v", name, i, err)
	}
	select {
	case <-p.Done:
	case <-time.After(patience):
		c.t.Errorf("%s %d does not end", name, i)
	}
	if err := p.Restart(); err != nil {
		c.t.Errorf("start %s %d: %v", name, i, err)
	}
	c.ready(name)
}
