package deploy_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/queue"
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

// breaker breaks parts of a fleet until the alerts fire that tell of it. It is for one goroutine.
type breaker struct {
	t       *testing.T
	fleet   *cluster
	odd     *pod   // a coordinator besides those of the fleet
	outpost string // where the API of an outpost is
	watch   *prometheus
	imports []string        // that run while a part is broken
	missed  map[string]bool // alerts that have not fired in time
}

// faults returns the faults, each of which begins with a fleet that is well or as the one before left it.
func (b *breaker) faults() []fault {
	var within time.Duration
	if realFaults() {
		within = realTries
	}
	nats, coordinators := b.fleet.pods["nats"], append(slices.Clone(b.fleet.pods["coordinator"]), b.odd)
	return []fault{
		{bring: b.loseWorkers, alerts: []string{"RangefleetWorkersMissing", "RangefleetImportStalled"}},
		{bring: b.breakStore, alerts: []string{"RangefleetStoreErrors", "RangefleetWorkRepeated", "RangefleetPartitionGivenUp"}, within: within, mend: b.mendStore},
		{bring: b.importMuch, alerts: []string{"RangefleetWorkersSaturated"}},
		{bring: b.slowDown, meanwhile: moveBranch, alerts: []string{"RangefleetImportSlow", "RangefleetCommitConflicts"}, mend: b.mendStore},
		{bring: b.kill(nats[1:]...), meanwhile: ask, alerts: []string{"RangefleetNATSNoQuorum", "RangefleetAPIErrors"}, mend: b.restart(nats[1:]...)},
		{bring: b.kill(nats...), alerts: []string{"RangefleetNATSDisconnected"}, mend: b.restart(nats...)},
		{bring: b.kill(coordinators...), alerts: []string{"RangefleetCoordinatorDown"}, mend: b.restart(coordinators...)},
	}
}

// run breaks one part of the fleet after the other until the alerts fire that tell of it. Meanwhile
// it asks the outpost for what that does not know without lakeFS.
func (b *breaker) run() {
	b.t.Helper()
	cl, err := client.New(client.Config{
		Endpoint:    "http://" + b.fleet.pods["coordinator"][0].addresses[8000],
		AccessKeyID: secret["access_key_id"], SecretAccessKey: secret["secret_access_key"], Attempts: 1,
	})
	expect.NoError(b.t, err)
	for _, f := range b.faults() {
		begun := time.Now()
		ctx, stop := context.WithCancel(b.t.Context())
		f.bring()
		var busy sync.WaitGroup
		busy.Go(func() { repeat(ctx, func(int) { _ = askOutpost(ctx, b.outpost) }) })
		if f.meanwhile != nil {
			busy.Go(func() { repeat(ctx, func(n int) { f.meanwhile(ctx, cl, n) }) })
		}
		b.fire("default", cmp.Or(f.within, patience), f.alerts...)
		stop()
		busy.Wait()
		if f.mend != nil {
			f.mend()
		}
		b.t.Logf("%v took %v", f.alerts, time.Since(begun).Round(time.Second))
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

// loseWorkers kills the workers, and gives them work: more than what they had asked for as they were
// killed, so that some of it stays queued until the boards show that.
func (b *breaker) loseWorkers() {
	for _, v := range b.fleet.pods["worker"] {
		v.Kill()
	}
	b.imports = []string{b.mustBegin(largeBucket, 0)}
	for n := range smallImports {
		b.imports = append(b.imports, b.mustBegin(smallBucket, n))
	}
	expect.NoError(b.t, b.fleet.inNATS(func(js jetstream.JetStream) error {
		return await.Until(b.t.Context(), patience, func(ctx context.Context) (bool, error) {
			work, err := js.Stream(ctx, "WORK") // it may be late on a busy machine
			return err == nil && work.CachedInfo().State.Msgs > smallImports, nil
		})
	}))
	expect.NoError(b.t, await.Until(b.t.Context(), patience, func(ctx context.Context) (bool, error) {
		queued, _, err := b.watch.greatest(ctx, `rangefleet_fleet_partitions{state="queued"}`)
		return queued > 0, err
	}))
}

// breakStore lets the store fail, and starts the workers that were lost. For one partition it is the last
// of 20 tries, unless the faults are real.
func (b *breaker) breakStore() {
	if !realFaults() {
		b.failDeliveries(19)
	}
	b.setFaults(brokenStore)
	for _, w := range b.fleet.pods["worker"] {
		expect.NoError(b.t, w.Restart())
	}
}

// failDeliveries takes the partition of a small import while there is no worker, notes that so many
// deliveries of it got no further, and gives it back. The first delivery of a partition does not read
// notes, and replaces them if it gives way to others: here, that is this one.
func (b *breaker) failDeliveries(n int) {
	b.t.Helper()
	state, err := backend.Connect(b.t.Context(), natsconn.Config{
		URL: "nats://" + b.fleet.pods["nats"][1].addresses[4222], Login: natsconn.Login{User: "rangefleet", Password: secret["nats_password"]}, Log: slog.New(slog.DiscardHandler),
	}, backend.Options{})
	expect.NoError(b.t, err)
	defer state.Close()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	task, err := state.Queue.Puller(queue.Express).Pull(ctx)
	expect.NoError(b.t, err)
	expect.NoError(b.t, state.Covers.NoteTries(ctx, task.Partition.ImportID, task.Partition.ID, covers.Tries{Count: n}))
	expect.NoError(b.t, task.Nak(ctx, 0))
}

// importMuch starts an import that is too large for three workers.
func (b *breaker) importMuch() { b.imports = append(b.imports, b.mustBegin(hugeBucket, 0)) }

// slowDown lets the store serve few pages.
func (b *breaker) slowDown() {
	b.setFaults(slowStore)
	for n := range smallImports {
		b.imports = append(b.imports, b.mustBegin(smallBucket, n))
	}
}

// mendStore ends the faults of the store, and cancels the imports that met them.
func (b *breaker) mendStore() {
	b.setFaults(soundStore)
	for _, id := range b.imports {
		_ = b.fleet.client(0).CancelImport(b.t.Context(), repository, "main", id) // it may have ended
	}
	b.imports = nil
	b.fleet.ready("worker")
}

// kill returns what starts an import and kills pods.
func (b *breaker) kill(victims ...*pod) func() {
	return func() {
		b.mustBegin(largeBucket, 0)
		for _, v := range victims {
			v.Kill()
		}
	}
}

// restart returns what starts pods, and waits until all are ready.
func (b *breaker) restart(victims ...*pod) func() {
	return func() {
		for _, v := range victims {
			expect.NoError(b.t, v.Restart())
		}
		for _, name := range []string{"nats", "coordinator", "worker"} {
			b.fleet.ready(name)
		}
	}
}

// mustBegin starts the n-th import of a source. Each has a destination of its own.
func (b *breaker) mustBegin(source string, n int) (id string) {
	b.t.Helper()
	id, err := b.fleet.begin(b.t.Context(), b.fleet.client(0), "main", source, fmt.Sprintf("broken-%d/", n))
	if err != nil {
		b.t.Fatalf("start an import of %s: %v", source, err)
	}
	return id
}

// setFaults replaces the faults of the store.
func (b *breaker) setFaults(faults string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPut, b.fleet.storeURL+"/_synths3/faults", strings.NewReader(faults))
	expect.NoError(b.t, err)
	resp, err := http.DefaultClient.Do(req)
	expect.NoError(b.t, err)
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
		b.t.Fatalf("the store answers %s to the faults %s", resp.Status, faults)
	}
}

// fire waits until alerts have fired at any time for a fleet, which is a pattern, and reports those that
// have not. An alert whose time has run out once is not waited for again.
func (b *breaker) fire(fleet string, within time.Duration, names ...string) {
	b.t.Helper()
	left := map[string]bool{}
	for _, name := range names {
		if !b.missed[name] {
			left[name] = true
		}
	}
	query := fmt.Sprintf(`count by (alertname) (last_over_time(ALERTS{alertstate="firing", fleet=~%q}[1h]))`, fleet)
	err := await.Until(b.t.Context(), within, func(ctx context.Context) (bool, error) {
		fired, err := b.watch.series(ctx, "query", url.Values{"query": {query}})
		for _, s := range fired {
			delete(left, s.Metric["alertname"])
		}
		return len(left) == 0, err
	})
	for name := range left {
		b.t.Errorf("%s has not fired: %v", name, err)
		b.missed[name] = true
	}
}
