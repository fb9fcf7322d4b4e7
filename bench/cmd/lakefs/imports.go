package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// patience bounds an import, and every is how often its status is asked for.
const patience, every = 30 * time.Minute, 250 * time.Millisecond

// bench collects pairs.
type bench struct {
	options
	dir   string
	log   io.Writer // shows results as they come
	pairs []Pair
}

// side is who imports: a lakeFS server, or a fleet and another such server.
type side struct {
	name      string
	server    lakeServer     // has the repositories
	imports   *client.Client // of what imports
	processes []*fleet.Process
}

func bucketOf(size string) string { return "hive-" + size }

// keys returns the keys of an import.
func keys(size string) (keyset.Set, error) {
	set, ok := keyset.Parse(bucketOf(size))
	if !ok {
		return set, fmt.Errorf("%q is no number of objects such as 200k", size)
	}
	return set, nil
}

// all starts everything, and imports each size by turns.
func (b *bench) all(ctx context.Context) error {
	if err := install(ctx, b.dir); err != nil {
		return err
	}
	store, err := fleet.LaunchS3(ctx, b.dir, "-keep", fmt.Sprint(keep))
	if err != nil {
		return err
	}
	defer store.Kill()
	alone, err := startLakeFS(ctx, b.dir, store)
	if err != nil {
		return err
	}
	defer alone.Kill()
	beside, err := startLakeFS(ctx, b.dir, store)
	if err != nil {
		return err
	}
	defer beside.Kill()
	var sources []string
	for _, size := range b.sizes {
		sources = append(sources, "s3://"+bucketOf(size)+"/")
	}
	f, err := b.startFleet(ctx, store, beside, strings.Join(sources, ","))
	if err != nil {
		return err
	}
	defer f.Close()
	processes := append([]*fleet.Process{beside.Process, f.NATS}, append(f.Coordinators, f.Workers...)...)
	for _, size := range b.sizes {
		for round := range b.rounds {
			theirs := side{"lakeFS", alone, alone.client, []*fleet.Process{alone.Process}}
			ours := side{"Rangefleet", beside, f.Clients[0], processes}
			if err := b.pair(ctx, f, size, round, theirs, ours); err != nil {
				return fmt.Errorf("%s objects: %w", size, err)
			}
		}
	}
	return nil
}

// pair measures both imports, and compares what they made.
func (b *bench) pair(ctx context.Context, f *fleet.Fleet, size string, round int, theirs, ours side) (err error) {
	p := Pair{Size: size}
	repository := fmt.Sprintf("of-%s-%d", size, round)
	if p.LakeFS, err = b.measure(ctx, f, theirs, size, repository); err != nil {
		return fmt.Errorf("import by lakeFS: %w", err)
	}
	if p.Rangefleet, err = b.measure(ctx, f, ours, size, repository); err != nil {
		return fmt.Errorf("import by Rangefleet: %w", err)
	}
	if p.Compared, err = same(ctx, size, repository, theirs.server.client, ours.server.client); err != nil {
		return err
	}
	b.pairs = append(b.pairs, p)
	return nil
}

// measure imports to the root of an empty branch.
func (b *bench) measure(ctx context.Context, f *fleet.Fleet, s side, size, repository string) (row Row, err error) {
	namespace := strings.ToLower("s3://ns/" + s.name + "/" + repository)
	if _, err := s.server.client.CreateRepository(ctx, api.RepositoryCreation{Name: repository, StorageNamespace: namespace}); err != nil {
		return row, err
	}
	set, err := keys(size)
	if err != nil {
		return row, err
	}
	if err := f.Control(ctx, http.MethodDelete, "counters", nil, nil); err != nil {
		return row, err
	}
	before, err := usages(s.processes)
	if err != nil {
		return row, err
	}
	i := fleet.Import{Repository: repository, Branch: "main", Begun: time.Now()}.Ask(s.imports)
	i.ID, err = s.imports.StartImport(ctx, repository, i.Branch, api.ImportPathsCreation{
		Paths:  []api.ImportLocation{{Type: "common_prefix", Path: "s3://" + bucketOf(size) + "/"}},
		Commit: api.CommitCreation{Message: "import"},
	})
	if err != nil {
		return row, err
	}
	st, err := i.Wait(ctx, patience, every, nil)
	if err != nil {
		return row, err
	}
	row = Row{Objects: st.IngestedObjects, Wall: st.UpdateTime.Sub(i.Begun), MetarangeID: st.Commit.MetaRangeID}
	if row.Objects != set.Len() {
		return row, fmt.Errorf("%d objects were imported, want %d", row.Objects, set.Len())
	}
	if err := row.use(s.processes, before); err != nil {
		return row, err
	}
	var c synths3.Counters
	if err := f.Control(ctx, http.MethodGet, "counters", nil, &c); err != nil {
		return row, err
	}
	row.Lists, row.Flight, row.Puts = c.Calls["list"], c.MaxInFlight, c.Calls["put"]
	fmt.Fprintf(b.log, "%s objects by %s: %.1f s, %.1f CPU-s\n", size, s.name, row.Wall.Seconds(), row.CPU.All())
	return row, nil
}

func usages(processes []*fleet.Process) (all []measure.Usage, err error) {
	for _, p := range processes {
		u, err := p.Usage()
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// use adds what processes have used since before.
func (r *Row) use(processes []*fleet.Process, before []measure.Usage) error {
	after, err := usages(processes)
	if err != nil {
		return err
	}
	for i, p := range processes {
		*r.CPU.of(p.Name) += (after[i].CPU - before[i].CPU).Seconds()
		peak := r.Peak.of(p.Name)
		*peak = max(*peak, float64(after[i].Peak)/(1<<20))
	}
	return nil
}
