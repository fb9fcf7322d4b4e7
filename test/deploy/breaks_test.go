package deploy_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Faults of the synthetic store, besides those of its flags.
const (
	brokenStore = `{"list": {"reset": 1}, "objects": {"reset": 1}}`
	slowStore   = `{"list": {"max_rate": 2}, "objects": {"latency": {"base": "50ms"}}}`
	soundStore  = `{"list": {"latency": {"base": "100ms"}}}`
)

// Buckets of the imports while parts are broken.
const (
	largeBucket = "s3://uuid-1m/"
	smallBucket = "s3://zipf-900/" // one page
	hugeBucket  = "s3://uuid-100m/"
)

// smallImports is how many small imports run at once: as many as the workers have slots for, so that none
// gives way to others. More than ten have to fail.
const smallImports = 12

// realTries is how long 20 deliveries take that each fail, with the pauses in between.
const realTries = 20 * time.Minute

// fault breaks a part of the fleet until alerts fire.
type fault struct {
	bring     func()
	meanwhile func(ctx context.Context, cl *client.Client, n int) // called again and again, by turns with n
	alerts    []string
	within    time.Duration // to wait for the alerts; 0 is patience
	mend      func()        // nil: the next fault goes on with this one
}

// faults returns the faults, each of which begins with a fleet that is well or as the one before left it.
func (c *cluster) faults(odd *pod) []fault {
	var within time.Duration
	if realFaults() {
		within = realTries
	}
	nats, coordinators := c.pods["nats"], append(slices.Clone(c.pods["coordinator"]), odd)
	return []fault{
		{bring: c.loseWorkers, alerts: []string{"RangefleetWorkersMissing", "RangefleetImportStalled"}},
		{bring: c.breakStore, alerts: []string{"RangefleetStoreErrors", "RangefleetWorkRepeated", "RangefleetPartitionGivenUp"}, within: within, mend: c.mendStore},
		{bring: c.importMuch, alerts: []string{"RangefleetWorkersSaturated"}},
		{bring: c.slowDown, meanwhile: moveBranch, alerts: []string{"RangefleetImportSlow", "RangefleetCommitConflicts"}, mend: c.mendStore},
		{bring: c.kill(nats[1:]...), meanwhile: ask, alerts: []string{"RangefleetNATSNoQuorum", "RangefleetAPIErrors"}, mend: c.restart(nats[1:]...)},
		{bring: c.kill(nats...), alerts: []string{"RangefleetNATSDisconnected"}, mend: c.restart(nats...)},
		{bring: c.kill(coordinators...), alerts: []string{"RangefleetCoordinatorDown"}, mend: c.restart(coordinators...)},
	}
}

// breakParts breaks one part of the fleet after the other until the alerts fire that tell of it. Meanwhile
// it asks the outpost for what that does not know without lakeFS.
func (c *cluster) breakParts(p *prometheus, odd *pod, outpost string) {
	c.t.Helper()
	cl, err := client.New(client.Config{
		Endpoint:    "http://" + c.pods["coordinator"][0].addresses[8000],
		AccessKeyID: secret["access_key_id"], SecretAccessKey: secret["secret_access_key"], Attempts: 1,
	})
	expect.NoError(c.t, err)
	for _, f := range c.faults(odd) {
		begun := time.Now()
		ctx, stop := context.WithCancel(c.t.Context())
		f.bring()
		var busy sync.WaitGroup
		busy.Go(func() { repeat(ctx, func(int) { _ = askOutpost(ctx, outpost) }) })
		if f.meanwhile != nil {
			busy.Go(func() { repeat(ctx, func(n int) { f.meanwhile(ctx, cl, n) }) })
		}
		c.fire(p, "default", cmp.Or(f.within, patience), f.alerts...)
		stop()
		busy.Wait()
		if f.mend != nil {
			f.mend()
		}
		c.t.Logf("%v took %v", f.alerts, time.Since(begun).Round(time.Second))
	}
}

// repeat calls f with 0, 1, 2 and so on until ctx ends.
func repeat(ctx context.Context, f func(n int)) {
	for n := 0; ctx.Err() == nil; n++ {
		f(n)
		_ = pause.For(ctx, time.Second/20) // the loop looks at ctx
	}
}

// ask asks for the repository, whatever is answered.
func ask(ctx context.Context, cl *client.Client, _ int) { _, _ = cl.Repository(ctx, repository) }

// moveBranch moves the branch of imports to the head of one of two others, whatever is answered.
func moveBranch(ctx context.Context, cl *client.Client, n int) {
	_ = cl.ResetBranch(ctx, repository, "main", fmt.Sprintf("branch-%d", n%2))
}

// realFaults reports whether nothing shortens the faults, as in "make watch-faults".
func realFaults() bool { return os.Getenv("REAL_FAULTS") != "" }

// loseWorkers kills the workers, and gives them work.
func (c *cluster) loseWorkers() {
	for _, v := range c.pods["worker"] {
		v.Kill()
	}
	c.imports = []string{c.mustBegin(largeBucket, 0)}
	for n := range smallImports {
		c.imports = append(c.imports, c.mustBegin(smallBucket, n))
	}
	expect.NoError(c.t, c.inNATS(func(js jetstream.JetStream) error {
		return await.Until(c.t.Context(), patience, func(ctx context.Context) (bool, error) {
			work, err := js.Stream(ctx, "WORK") // it may be late on a busy machine
			return err == nil && work.CachedInfo().State.Msgs > smallImports, nil
		})
	}))
}

// breakStore lets the store fail, and starts the workers that were lost. For one partition it is the last
// of 20 tries, unless the faults are real.
func (c *cluster) breakStore() {
	if !realFaults() {
		c.noteTries(c.imports[1], 19)
	}
	c.setFaults(brokenStore)
	for _, w := range c.pods["worker"] {
		expect.NoError(c.t, w.Restart())
	}
}

// noteTries notes that so many deliveries of the first partition of an import got no further.
func (c *cluster) noteTries(id string, n int) {
	c.t.Helper()
	b, err := backend.Connect(c.t.Context(), natsconn.Config{
		URL: "nats://" + c.pods["nats"][1].addresses[4222], Login: natsconn.Login{User: "rangefleet", Password: secret["nats_password"]}, Log: slog.New(slog.DiscardHandler),
	}, backend.Options{})
	expect.NoError(c.t, err)
	defer b.Close()
	expect.NoError(c.t, b.Covers.NoteTries(c.t.Context(), id, partition.Whole(id).ID, covers.Tries{Count: n}))
}

// importMuch starts an import that is too large for three workers.
func (c *cluster) importMuch() { c.imports = append(c.imports, c.mustBegin(hugeBucket, 0)) }

// slowDown lets the store serve few pages.
func (c *cluster) slowDown() {
	c.setFaults(slowStore)
	for n := range smallImports {
		c.imports = append(c.imports, c.mustBegin(smallBucket, n))
	}
}

// mendStore ends the faults of the store, and cancels the imports that met them.
func (c *cluster) mendStore() {
	c.setFaults(soundStore)
	for _, id := range c.imports {
		_ = c.client(0).CancelImport(c.t.Context(), repository, "main", id) // it may have ended
	}
	c.imports = nil
	c.ready("worker")
}

// kill returns what starts an import and kills pods.
func (c *cluster) kill(victims ...*pod) func() {
	return func() {
		c.mustBegin(largeBucket, 0)
		for _, v := range victims {
			v.Kill()
		}
	}
}

// restart returns what starts pods, and waits until all are ready.
func (c *cluster) restart(victims ...*pod) func() {
	return func() {
		for _, v := range victims {
			expect.NoError(c.t, v.Restart())
		}
		for _, name := range []string{"nats", "coordinator", "worker"} {
			c.ready(name)
		}
	}
}

// mustBegin starts the n-th import of a source. Each has a destination of its own.
func (c *cluster) mustBegin(source string, n int) (id string) {
	c.t.Helper()
	id, err := c.begin(c.t.Context(), c.client(0), "main", source, fmt.Sprintf("broken-%d/", n))
	if err != nil {
		c.t.Fatalf("start an import of %s: %v", source, err)
	}
	return id
}

// setFaults replaces the faults of the store.
func (c *cluster) setFaults(faults string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPut, c.storeURL+"/_synths3/faults", strings.NewReader(faults))
	expect.NoError(c.t, err)
	resp, err := http.DefaultClient.Do(req)
	expect.NoError(c.t, err)
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
		c.t.Fatalf("the store answers %s to the faults %s", resp.Status, faults)
	}
}
