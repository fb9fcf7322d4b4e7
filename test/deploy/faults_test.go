package deploy_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// notFired are alerts that the fleet of the test cannot make fire, and why.
var notFired = map[string]string{
	"RangefleetImportSlow":        "it takes a store that needs seconds for a page, for longer than the test",
	"RangefleetPartitionGivenUp":  "20 deliveries that get no further take ten minutes",
	"RangefleetCommitConflicts":   "it takes many commits to one branch at once",
	"RangefleetWorkersSaturated":  "it takes more work than three workers do in a minute",
	"RangefleetLakeFSUnreachable": "there is no lakeFS server",
	"RangefleetNATSDiskFilling":   "the account has no limit",
	"RangefleetCredentialsExpire": "there are neither roles nor JWTs",
	"RangefleetWorkRepeated":      "it takes ten failed deliveries, each of which waits longer than the one before",
	"RangefleetVersionSkew":       "all programs are built from one commit",
}

var (
	ruleFor    = regexp.MustCompile(`(?m)^( +)for: \w+$`)
	ruleWindow = regexp.MustCompile(`\[(10|5|2)m\]`)
)

// hasten returns the rules of deploy/ so that an alert fires after seconds instead of minutes. What they
// compare stays, except for ages.
func hasten(t *testing.T) string {
	t.Helper()
	text := ruleFor.ReplaceAllString(string(read(t, "prometheus/alerts.yml")), "${1}for: 1s")
	text = ruleWindow.ReplaceAllString(text, "[10s]")
	for _, change := range [][2]string{
		{"_age_seconds) > 600", "_age_seconds) > 5"},
		{"sign_timestamp_seconds) > 60", "sign_timestamp_seconds) > 5"},
		{"offset 1h", "offset 5s"},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("the alerts have no %q", change[0])
		}
		text = strings.ReplaceAll(text, change[0], change[1])
	}
	return text
}

// Every query of the boards returns data for a fleet in which everything happens that the boards show,
// and every alert fires for which the test has a fault.
func TestBoardsAndAlertsWatchAFleet(t *testing.T) {
	c := startCluster(t, flaky...)
	odd, address := addOdd(c)
	p := startPrometheus(t, hasten(t), c.addresses, address)
	waiting := map[string]string{} // query by panel and legend
	for name, query := range queriesOfBoards(t) {
		if !excused(query, absent) {
			waiting[name] = query
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var life sync.WaitGroup
	life.Go(func() { c.live(ctx) })
	defer life.Wait()
	defer stop()
	_ = await.Until(t.Context(), 2*patience, func(context.Context) (bool, error) { // what is left is reported
		p.tick(t, waiting)
		return len(waiting) == 0, nil
	})
	for name, query := range waiting {
		t.Errorf("%s has no data: %s", name, query)
	}
	checkLabels(t, c)
	stop()
	life.Wait()
	c.breakParts(p, odd)
	for _, a := range alerts(t).all() {
		if notFired[a.Alert] == "" {
			c.fires(p, a.Alert)
		}
	}
	for name := range notFired {
		if !slices.ContainsFunc(alerts(t).all(), func(a alert) bool { return a.Alert == name }) {
			t.Errorf("%s is excused and does not exist", name)
		}
	}
	fired, err := p.series(t.Context(), "query", url.Values{"query": {`count by (alertname) (last_over_time(ALERTS{alertstate="firing"}[1h]))`}})
	for _, s := range fired {
		t.Logf("fired: %s", s.Metric["alertname"])
	}
	if err != nil {
		t.Error(err)
	}
	drawBoards(t, p)
	c.checkMemory()
	c.end()
}

// addOdd adds a coordinator to the fleet that has a certificate that is about to expire, and little
// memory. It also returns where its metrics are.
func addOdd(c *cluster) (odd *pod, address string) {
	c.t.Helper()
	program, err := compileCoordinator()
	if err != nil {
		c.t.Fatal(err)
	}
	cert, key := certs.New(c.t).Issue("api")
	address = freeAddress(c.t)
	p := start(c.t, func() *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = append(slices.Clone(c.settings),
			"PATH="+os.Getenv("PATH"), "HOME="+c.t.TempDir(), "GOMEMLIMIT=12MiB", "RANGEFLEET_LISTEN="+address, "RANGEFLEET_WORKERS=0",
			"RANGEFLEET_NATS_URL=nats://"+c.pods["nats"][0].addresses[4222], "RANGEFLEET_NATS_USER=rangefleet", "RANGEFLEET_NATS_PASSWORD="+secret["nats_password"],
			"RANGEFLEET_NATS_REPLICAS=3", "RANGEFLEET_HTTP_CERT_FILE="+cert, "RANGEFLEET_HTTP_KEY_FILE="+key,
			"RANGEFLEET_S3_ACCESS_KEY_ID=synthetic", "RANGEFLEET_S3_SECRET_ACCESS_KEY=synthetic",
			"RANGEFLEET_AUTH_ACCESS_KEY_ID="+secret["access_key_id"], "RANGEFLEET_AUTH_SECRET_ACCESS_KEY="+secret["secret_access_key"])
		return cmd
	})
	return &pod{Process: p}, address
}

var compileCoordinator = compile("../..", "./cmd/coordinator")

// breakParts takes away the workers, the store, most of NATS, all of it, and the coordinators, each
// until the alerts fire that tell of it.
func (c *cluster) breakParts(p *prometheus, odd *pod) {
	c.t.Helper()
	cl := c.client(0)
	for _, part := range []struct {
		victims []*pod
		alerts  []string
	}{
		{c.pods["worker"], []string{"RangefleetWorkersMissing", "RangefleetImportStalled"}},
		{c.pods["nats"][1:], []string{"RangefleetNATSNoQuorum", "RangefleetAPIErrors"}},
		{c.pods["nats"], []string{"RangefleetNATSDisconnected"}},
		{append(slices.Clone(c.pods["coordinator"]), odd), []string{"RangefleetCoordinatorDown"}},
	} {
		if _, err := c.begin(c.t.Context(), cl, "main", "s3://uuid-1m/"); err != nil {
			c.t.Fatalf("start an import: %v", err)
		}
		for _, v := range part.victims {
			v.Kill()
		}
		ctx, stop := context.WithCancel(c.t.Context())
		var asking sync.WaitGroup
		asking.Go(func() { c.ask(ctx) })
		for _, name := range part.alerts {
			c.fires(p, name)
		}
		stop()
		asking.Wait()
		for _, v := range part.victims {
			if err := v.Restart(); err != nil {
				c.t.Fatal(err)
			}
		}
		for _, name := range []string{"nats", "coordinator", "worker"} {
			c.ready(name)
		}
	}
	c.store.Kill()
	c.fires(p, "RangefleetStoreErrors")
	if err := c.store.Restart(); err != nil {
		c.t.Fatal(err)
	}
}

// ask asks a coordinator for the repositories, whatever it answers, until ctx ends.
func (c *cluster) ask(ctx context.Context) {
	cl, err := client.New(client.Config{
		Endpoint:    "http://" + c.pods["coordinator"][0].addresses[8000],
		AccessKeyID: secret["access_key_id"], SecretAccessKey: secret["secret_access_key"], Attempts: 1,
	})
	if err != nil {
		c.t.Errorf("make a client: %v", err)
		return
	}
	for ctx.Err() == nil {
		_, _ = cl.Repository(ctx, repository) // it may fail
		_ = pause.For(ctx, time.Second/5)     // the loop looks at ctx
	}
}

// fires waits until an alert has fired at any time.
func (c *cluster) fires(p *prometheus, name string) {
	c.t.Helper()
	err := await.Until(c.t.Context(), patience, func(ctx context.Context) (bool, error) {
		found, err := p.series(ctx, "query", url.Values{"query": {fmt.Sprintf(`last_over_time(ALERTS{alertname=%q, alertstate="firing", fleet!=""}[1h])`, name)}})
		return len(found) > 0, err
	})
	if err != nil {
		c.t.Errorf("%s has not fired: %v", name, err)
	}
}

// longRun is the time of a run with the rules as they are in deploy/.
const longRun = 30 * time.Minute

// healthyFor returns for how long the healthy fleet runs.
func healthyFor(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("HEALTHY_FOR")
	if text == "" {
		return 90 * time.Second
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

// No alert fires while a healthy fleet imports, is restarted process by process, and so gets other
// programs. For the half hour of "make watch-healthy" the rules are those of deploy/. For the short run
// alerts fire after a twentieth of the time.
func TestHealthyFleetRaisesNoAlert(t *testing.T) {
	length, rules := healthyFor(t), string(read(t, "prometheus/alerts.yml"))
	if length < longRun {
		rules = ruleFor.ReplaceAllString(rules, "${1}for: 15s")
		rules = ruleWindow.ReplaceAllString(rules, "[30s]")
	}
	c := startCluster(t, "-latency", "20ms", "-object-latency", "5ms")
	p := startPrometheus(t, rules, c.addresses)
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	var life sync.WaitGroup
	life.Go(func() { liveWell(ctx, c) })
	rollAll(ctx, c)
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
}

// liveWell makes imports until ctx ends.
func liveWell(ctx context.Context, c *cluster) {
	cl := c.client(0)
	if _, err := cl.CreateRepository(ctx, api.RepositoryCreation{Name: repository, StorageNamespace: "s3://ns/" + repository}); err != nil {
		c.t.Errorf("create a repository: %v", err)
	}
	for n := 0; ctx.Err() == nil; n++ {
		id, err := c.begin(ctx, cl, "main", "s3://"+bucket+"/")
		if err == nil {
			err = c.await(ctx, cl, "main", id, -1)
		}
		if err != nil && ctx.Err() == nil {
			c.t.Errorf("import %d: %v", n, err)
			return
		}
	}
}

// rollAll restarts the workers and coordinators one after another, as an upgrade does, until ctx ends.
func rollAll(ctx context.Context, c *cluster) {
	for ctx.Err() == nil {
		for _, name := range []string{"worker", "coordinator"} {
			for i := range c.pods[name] {
				select {
				case <-ctx.Done():
					return
				case <-time.After(10 * time.Second):
				}
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
