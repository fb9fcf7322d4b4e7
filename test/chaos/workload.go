package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/entry"
)

const (
	repository = "chaos"
	branch     = "main"
)

// baseJobs are the paths of the first import, which is completed before the first fault.
func baseJobs(seed uint64) []job {
	return []job{
		{bucket: fmt.Sprintf("uuid-3000-%d", seed), dest: "a/", keys: 3000},
		{bucket: fmt.Sprintf("hive-4000-%d", seed), dest: "old/", keys: 4000},
	}
}

// outcome is the result of a requested import.
type outcome struct {
	job    job
	id     string
	status api.ImportStatusResp
}

// request returns the body of a request for an import of the jobs.
func request(message string, jobs ...job) api.ImportPathsCreation {
	var paths []api.ImportLocation
	for _, j := range jobs {
		paths = append(paths, api.ImportLocation{Type: "common_prefix", Path: "s3://" + j.bucket + "/", Destination: j.dest})
	}
	return api.ImportPathsCreation{Paths: paths, Commit: api.CommitCreation{Message: message}}
}

// users call the API of a world's coordinators.
type users struct{ world *world }

// ask makes a call to one coordinator after another until one answers.
func (u users) ask(ctx context.Context, call func(context.Context, *client.Client) error) error {
	return u.askFrom(ctx, rand.IntN(len(u.world.apis)), call)
}

// askFrom is like ask, and begins with the coordinator of index first, modulo their number.
func (u users) askFrom(ctx context.Context, first int, call func(context.Context, *client.Client) error) error {
	for i := first; ; i++ {
		c, err := client.New(client.Config{
			Endpoint: u.world.apis[i%len(u.world.apis)], AccessKeyID: accessKey, SecretAccessKey: secretKey,
			Attempts: 1, Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
		})
		if err != nil {
			return err
		}
		if err = call(ctx, c); err == nil || !client.Transient(err) {
			return err
		}
		if !pause(ctx, 200*time.Millisecond) {
			return fmt.Errorf("no coordinator answered in time: %w", err)
		}
	}
}

// start requests an import until a coordinator accepts it, and begins with the coordinator of
// index first.
func (u users) start(ctx context.Context, first int, what api.ImportPathsCreation) (id string, err error) {
	err = u.askFrom(ctx, first, func(ctx context.Context, c *client.Client) error {
		id, err = c.StartImport(ctx, repository, branch, what)
		return err
	})
	return id, err
}

// finish waits until an import has ended.
func (u users) finish(ctx context.Context, id string) (status api.ImportStatusResp, err error) {
	for told := time.Now(); ; {
		err = u.ask(ctx, func(ctx context.Context, c *client.Client) error {
			status, err = c.ImportStatus(ctx, repository, branch, id)
			return err
		})
		if err != nil || status.Completed || status.Error.Message != "" {
			return status, err
		}
		if time.Since(told) > 3*second {
			told = time.Now()
			u.world.note("import %s: %d objects in %d ranges, %d partitions %s", id, status.IngestedObjects, status.Ranges, status.Partitions, status.Problem)
		}
		if !pause(ctx, 200*time.Millisecond) {
			return status, fmt.Errorf("import %s has not ended: phase %s, %d objects, %d partitions", id, status.Phase, status.IngestedObjects, status.Partitions)
		}
	}
}

// prepare creates the repository and makes the first import.
func (u users) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, u.world.plan.form.patience)
	defer cancel()
	err := u.ask(ctx, func(ctx context.Context, c *client.Client) error {
		if _, err := c.Repository(ctx, repository); err == nil {
			return nil // an earlier try, whose answer was lost, created it
		}
		_, err := c.CreateRepository(ctx, api.RepositoryCreation{Name: repository, StorageNamespace: "s3://" + namespaceBucket + "/repo"})
		return err
	})
	if err != nil {
		return fmt.Errorf("create the repository: %w", err)
	}
	id, err := u.start(ctx, 0, request("base", baseJobs(u.world.plan.seed)...))
	if err != nil {
		return fmt.Errorf("start the first import: %w", err)
	}
	status, err := u.finish(ctx, id)
	if err == nil && !status.Completed {
		err = fmt.Errorf("import failed: %s", status.Error.Message)
	}
	if err != nil {
		return fmt.Errorf("make the first import: %w", err)
	}
	return nil
}

// pages returns about how many LIST calls the imports of the plan take.
func (p plan) pages() (n float64) {
	for _, j := range p.imports {
		n += 8 + float64(max(j.keys, stableKeys))/1000
	}
	return n
}

// perform makes the imports and injects the faults of the plan at the same time, and then waits
// for the end of the imports.
func (u users) perform(ctx context.Context) []outcome {
	// LISTs are so slow that imports are running while the faults last.
	u.world.s3.setListRate(u.world.plan.pages() / u.world.plan.form.window.Seconds())
	ctx, cancel := context.WithTimeout(ctx, 3*u.world.plan.form.window+u.world.plan.form.patience)
	defer cancel()
	outcomes := make([]outcome, len(u.world.plan.imports))
	var all sync.WaitGroup
	begun := time.Now()
	for i, j := range u.world.plan.imports {
		all.Go(func() {
			outcomes[i] = outcome{job: j}
			if !pause(ctx, j.at-time.Since(begun)) {
				return
			}
			outcomes[i] = u.follow(ctx, i, j)
		})
	}
	u.world.injectAll(ctx)
	u.world.note("no faults are left")
	u.world.calm = time.Now()
	u.world.s3.setListRate(0)
	late := time.AfterFunc(u.world.plan.form.patience, cancel)
	defer late.Stop()
	all.Wait()
	return outcomes
}

// follow requests import i and waits for its end.
func (u users) follow(ctx context.Context, i int, j job) outcome {
	o := outcome{job: j}
	var err error
	if o.id, err = u.start(ctx, i, request("import of "+j.bucket, j)); err != nil {
		u.world.violate("the import of %s was not accepted: %v", j.bucket, err)
		return o
	}
	u.world.note("import %s of %s is accepted", o.id, j.bucket)
	if o.status, err = u.finish(ctx, o.id); err != nil {
		u.world.violate("import %s of %s: %v", o.id, j.bucket, err)
		return o
	}
	u.world.note("import %s of %s ended: phase %s, %d objects %s", o.id, j.bucket, o.status.Phase, o.status.IngestedObjects, o.status.Error.Message)
	return o
}

// entries returns the entries that an import of a generated bucket must have.
func (j job) entries() ([]entry.Entry, error) {
	set, ok := keyset.Parse(j.bucket)
	if !ok {
		return nil, fmt.Errorf("bucket %s is not a generated one", j.bucket)
	}
	all := make([]entry.Entry, set.Len())
	for i := range all {
		key, o := set.Key(int64(i)), set.Object(int64(i))
		all[i] = entry.Entry{
			Key: j.dest + key, Address: "s3://" + j.bucket + "/" + key,
			ETag: fmt.Sprintf("%016x%016x", o.Hash[0], o.Hash[1]), Size: o.Size, ModTime: time.UnixMilli(o.ModTime).UTC(),
		}
	}
	return all, nil
}

// The live bucket has stable keys, and volatile ones between them.
const (
	stableKeys   = 8_000
	volatileKeys = 800
	liveDest     = "live/"
	liveSince    = 1_750_000_000_000 // modification time of stable objects, in milliseconds
)

func stableKey(i int) string   { return fmt.Sprintf("dir-%02d/%06d", i/1000, i) }
func volatile(key string) bool { return strings.Contains(key, "-x") }

// volatileKey returns a key that is put and removed. Every fourth one is an anchor, so that the
// ends of ranges change, too.
func volatileKey(i int) string {
	key := stableKey(i*stableKeys/volatileKeys) + "-x"
	for n := 0; i%4 == 0; n++ {
		if try := fmt.Sprint(key, n); breaks.Anchor([]byte(liveDest + try)) {
			return try
		}
	}
	return key
}

// fillLive fills the live bucket and the past bucket with the same objects.
func (s *store) fillLive() {
	s.frozen.Store(liveSince)
	defer s.frozen.Store(0)
	for _, bucket := range []string{liveBucket, pastBucket} {
		for i := range stableKeys {
			s.put(http.MethodPut, bucket, stableKey(i), stableKey(i))
		}
		for i := range volatileKeys / 2 {
			s.put(http.MethodPut, bucket, volatileKey(2*i), "x")
		}
	}
}

// churn puts and removes objects of the live bucket.
func churn(ctx context.Context, w *world, f fault) error {
	rnd := rand.New(rand.NewPCG(f.detail, 1))
	ctx, cancel := context.WithTimeout(ctx, f.dur)
	defer cancel()
	for pause(ctx, 10*time.Millisecond) {
		method := http.MethodPut
		if rnd.IntN(2) == 0 {
			method = http.MethodDelete
		}
		w.s3.put(method, liveBucket, volatileKey(rnd.IntN(volatileKeys)), "x")
	}
	return nil
}
