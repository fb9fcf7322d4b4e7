package e2e_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// crashImports is the number of imports that TestKills makes.
const crashImports = 20

// TestKills kills a worker and the coordinator with kill -9 at random points of each import,
// and restarts them at once. A point is a number of covered objects. RANGEFLEET_TEST_SEED
// repeats a run.
func TestKills(t *testing.T) {
	objects := awkwardObjects(t)
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("RANGEFLEET_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("RANGEFLEET_TEST_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	b := breaks{maxSize: 8 << 10, raggedness: 200}
	want := metarangeOf(t, lines(t, objects, awkwardPrefix, destination), b)
	f := newFleet(t, b, shape{nats: 1, workers: 2})
	f.repository("repo", awkwardBucket)
	root := f.log("repo", "main")[0].ID
	for i := range crashImports {
		branch := "crash-" + strconv.Itoa(i)
		if _, err := f.client.CreateBranch(t.Context(), "repo", branch, "main"); err != nil {
			t.Fatal(err)
		}
		id := f.begin("repo", branch, awkwardSource, destination)
		victims := []*process.Process{f.workers[rnd.IntN(len(f.workers))], f.coordinator}
		if rnd.IntN(2) == 0 {
			victims[0], victims[1] = victims[1], victims[0]
		}
		first := rnd.Int64N(awkwardCount)
		for _, at := range []int64{first, first + rnd.Int64N(awkwardCount-first)} {
			status := f.waitFor(branch, id, at)
			t.Logf("import %d: kill %s at %d objects, phase %s", i, filepath.Base(victims[0].Cmd.Path), status.IngestedObjects, status.Phase)
			expect.NoError(t, victims[0].Restart())
			victims = victims[1:]
		}
		f.ready()
		if got := f.finish("repo", branch, id); got.MetarangeID != want || got.IngestedObjects != awkwardCount {
			t.Errorf("import %d has %d objects and metarange %s, want %d and %s", i, got.IngestedObjects, got.MetarangeID, awkwardCount, want)
		}
		if log := f.log("repo", branch); len(log) != 2 || log[1].ID != root {
			t.Errorf("import %d: the log has %d commits, want one after the root: %+v", i, len(log), log)
		}
	}
}

// waitFor waits until an import has covered that many objects or has ended.
func (f *fleet) waitFor(branch, id string, objects int64) (status api.ImportStatusResp) {
	f.t.Helper()
	expect.Within(f.t, patience, "progress of import "+id, func(context.Context) (bool, error) {
		status = f.status("repo", branch, id)
		return status.IngestedObjects >= objects || status.Completed || status.Error.Message != "", nil
	})
	return status
}

// A NATS server can be killed and restarted in the middle of an import. It may be a process of
// its own, embedded in a coordinator, or part of a cluster.
func TestNATSRestarts(t *testing.T) {
	objects := awkwardObjects(t)
	b := breaks{maxSize: 8 << 10, raggedness: 200}
	want := metarangeOf(t, lines(t, objects, awkwardPrefix, destination), b)
	for _, tc := range []struct {
		name    string
		shape   shape
		victims func(*fleet) []*process.Process // killed and restarted one after another
	}{
		{"own process", shape{nats: 1, workers: 2}, func(f *fleet) []*process.Process { return f.nats }},
		{"embedded", shape{}, func(f *fleet) []*process.Process { return []*process.Process{f.coordinator} }},
		{"each of a cluster", shape{nats: 3, workers: 2}, func(f *fleet) []*process.Process { return f.nats }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFleet(t, b, tc.shape)
			f.repository("repo", awkwardBucket)
			id := f.begin("repo", "main", awkwardSource, destination)
			victims := tc.victims(f)
			for i, nats := range victims {
				f.waitFor("main", id, int64((i+1)*awkwardCount/(len(victims)+2)))
				expect.NoError(t, nats.Restart())
				f.ready()
			}
			if got := f.finish("repo", "main", id); got.MetarangeID != want {
				t.Errorf("metarange %s, want %s", got.MetarangeID, want)
			}
		})
	}
}

// While most servers of a cluster are down, requests are answered with an error within their
// time limits. After the servers are back, imports work again.
func TestNATSWithoutAQuorum(t *testing.T) {
	want := metarangeOf(t, lines(t, awkwardObjects(t), awkwardPrefix, destination), smallBreaks)
	f := newFleet(t, smallBreaks, shape{nats: 3, workers: 1})
	f.repository("repo", awkwardBucket)
	for _, nats := range f.nats[1:] {
		nats.Kill()
	}
	once, err := client.New(client.Config{Endpoint: "http://" + f.api, AccessKeyID: accessKey, SecretAccessKey: secretKey, Attempts: 1})
	expect.NoError(t, err)
	for _, ask := range []func() error{ // a write first: the remaining server may answer reads for a while
		func() error { _, err := once.CreateBranch(t.Context(), "repo", "other", "main"); return err },
		func() error { _, err := once.Repository(t.Context(), "repo"); return err },
	} {
		err := ask()
		var answer *client.Error
		if !errors.As(err, &answer) || answer.Status != 503 || !strings.Contains(answer.Message, "no quorum") {
			t.Error(err)
		}
	}
	if serving, err := await.Serving("http://" + f.api + "/_ready")(t.Context()); serving || err != nil {
		t.Errorf("ready is %t, %v", serving, err)
	}
	for _, nats := range f.nats[1:] {
		expect.NoError(t, nats.Restart())
	}
	f.ready()
	if got := f.finish("repo", "main", f.begin("repo", "main", awkwardSource, destination)); got.MetarangeID != want {
		t.Errorf("metarange %s, want %s", got.MetarangeID, want)
	}
}
