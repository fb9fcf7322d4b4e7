package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/api"
)

// patience bounds every wait.
const patience = time.Hour

// fewLists is the number of LIST calls in flight of a worker in the scenarios that are bound
// by latency: 8 such workers leave most of a small machine idle.
const fewLists = 4

// bench collects rows and targets.
type bench struct {
	options
	dir     string
	log     io.Writer // shows results as they come
	rows    []Row
	targets []Target
}

// addTarget records a target with its result.
func (b *bench) addTarget(name, wanted, measured string, met bool) {
	b.targets = append(b.targets, Target{name, wanted, measured, met})
	fmt.Fprintf(b.log, "    %s: wanted %s, measured %s\n", name, wanted, measured)
}

// start starts a fleet with a latency of LIST calls.
func (b *bench) start(ctx context.Context, cfg fleet.Config, latency time.Duration) (*fleet.Fleet, error) {
	cfg.Dir = b.dir
	cfg.Faults.List.Latency.Base = synths3.Duration{Duration: latency}
	return fleet.Start(ctx, cfg)
}

// row measures the fleet while work runs.
func (b *bench) row(ctx context.Context, f *fleet.Fleet, name string, objects int64, work func(*Row) error) error {
	row := Row{Name: name, Objects: objects, Workers: len(f.Workers)}
	if err := f.Control(ctx, http.MethodDelete, "counters", nil, nil); err != nil {
		return err
	}
	in, out, err := f.Messages(ctx)
	if err != nil {
		return err
	}
	before := make(map[*fleet.Process]time.Duration)
	for _, p := range f.Processes() {
		u, err := p.Usage()
		if err != nil {
			return err
		}
		before[p] = u.CPU
	}
	begun := time.Now()
	if err := work(&row); err != nil {
		return err
	}
	if row.Wall == 0 {
		row.Wall = time.Since(begun)
	}
	for _, p := range f.Processes() {
		u, err := p.Usage()
		if err != nil {
			return err
		}
		*row.CPU.of(p.Name) += (u.CPU - before[p]).Seconds()
		peak := row.Peak.of(p.Name)
		*peak = max(*peak, float64(u.Peak)/(1<<20))
	}
	if row.In, row.Out, err = f.Messages(ctx); err != nil {
		return err
	}
	row.In, row.Out = row.In-in, row.Out-out
	var c synths3.Counters
	if err := f.Control(ctx, http.MethodGet, "counters", nil, &c); err != nil {
		return err
	}
	row.Lists, row.Flight, row.Puts = c.Calls["list"], c.MaxInFlight, c.Calls["put"]
	if row.Busiest, err = busiest(ctx, f); err != nil {
		return err
	}
	row.Given = handOvers(ctx, f)
	b.rows = append(b.rows, row)
	fmt.Fprintf(b.log, "    %s: %.1f s\n", name, row.Wall.Seconds())
	return nil
}

// busiest returns the largest share of all covered objects that one worker covered since the
// fleet started.
func busiest(ctx context.Context, f *fleet.Fleet) (float64, error) {
	var most, all float64
	for _, w := range f.Listers() {
		n, err := w.Metric(ctx, "rangefleet_worker_objects_covered_total")
		if err != nil {
			continue // the worker was killed
		}
		most, all = max(most, n), all+n
	}
	if all == 0 {
		return 0, errors.New("no worker covered anything")
	}
	return most / all, nil
}

// handOvers returns the number of partitions handed over since the fleet started.
func handOvers(ctx context.Context, f *fleet.Fleet) (all int) {
	for _, w := range f.Listers() {
		if n, err := w.Metric(ctx, "rangefleet_worker_hand_overs_total"); err == nil { // else the worker was killed
			all += int(n)
		}
	}
	return all
}

// importBucket measures one import of a whole bucket to a new repository.
func (b *bench) importBucket(ctx context.Context, f *fleet.Fleet, name, bucket string) (Row, error) {
	if err := f.Repository(ctx, "whole"); err != nil {
		return Row{}, err
	}
	objects, err := count(bucket)
	if err != nil {
		return Row{}, err
	}
	err = b.row(ctx, f, name, objects, func(row *Row) error {
		i, err := f.Begin(ctx, 0, "whole", "main", bucket, "")
		if err != nil {
			return err
		}
		return finish(ctx, i, row, time.Second)
	})
	if err != nil {
		return Row{}, err
	}
	return b.rows[len(b.rows)-1], nil
}

// finish waits for the end of an import and stores its result in the row.
func finish(ctx context.Context, i fleet.Import, row *Row, every time.Duration) error {
	st, err := i.Wait(ctx, patience, every, nil)
	if err != nil {
		return err
	}
	row.Wall = st.UpdateTime.Sub(i.Begun) // exact even if the status is polled seldom
	row.Ranges, row.MetarangeID = st.Ranges, st.MetarangeID
	if st.IngestedObjects != row.Objects {
		return fmt.Errorf("%d objects were imported, want %d", st.IngestedObjects, row.Objects)
	}
	return nil
}

// importByWorkers measures an import of a generated bucket by the given number of workers,
// bound by latency.
func (b *bench) importByWorkers(ctx context.Context, workers int, shape, size string) (Row, error) {
	f, err := b.start(ctx, fleet.Config{
		Coordinators: 1, Workers: workers, Slots: 2, MaxLists: fewLists,
		Env: []string{fmt.Sprintf("RANGEFLEET_RANGES_RAGGEDNESS=%d", b.ragged)},
	}, b.latency)
	if err != nil {
		return Row{}, err
	}
	defer f.Close()
	return b.importBucket(ctx, f, fmt.Sprintf("%s by %d", shape, workers), shape+"-"+size)
}

// scale compares the throughput of one worker and of eight. That of one worker hardly depends
// on the size of the import. That of eight does: sharing an import costs about the same time
// for a small one and a large one.
func (b *bench) scale(ctx context.Context) error {
	one, err := b.importByWorkers(ctx, 1, "hive", b.small)
	if err != nil {
		return err
	}
	same, err := b.importByWorkers(ctx, 8, "hive", b.small)
	if err != nil {
		return err
	}
	large, err := b.importByWorkers(ctx, 8, "hive", b.large)
	if err != nil {
		return err
	}
	gain := large.Rate() / one.Rate()
	b.addTarget(fmt.Sprintf("1 -> 8 worker processes, objects/s, one at %s and eight at %s", b.small, b.large), ">= 7x", fmt.Sprintf("%.1fx", gain), gain >= 7)
	b.addTarget(fmt.Sprintf("both at %s", b.small), "", fmt.Sprintf("%.1fx", same.Rate()/one.Rate()), true)
	if one.MetarangeID != same.MetarangeID {
		return fmt.Errorf("1 worker made metarange %s, 8 made %s", one.MetarangeID, same.MetarangeID)
	}
	return nil
}

func (b *bench) skew(ctx context.Context) error {
	even, err := b.importByWorkers(ctx, 8, "hive", b.size)
	if err != nil {
		return err
	}
	skewed, err := b.importByWorkers(ctx, 8, "onedir", b.size)
	if err != nil {
		return err
	}
	ratio := skewed.Wall.Seconds() / even.Wall.Seconds()
	b.addTarget("most keys in one prefix, 8 workers, over uniform", "<= 1.3x", fmt.Sprintf("%.2fx", ratio), ratio <= 1.3)
	return nil
}

// failover kills the coordinator that accepted an import before it can have planned the
// import, and waits for the first covered objects, which need another coordinator.
func (b *bench) failover(ctx context.Context) error {
	const rounds = 3
	var worst time.Duration
	for round := range rounds {
		took, err := b.failoverOnce(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.log, "    round %d: %.1f s\n", round+1, took.Seconds())
		worst = max(worst, took)
	}
	b.addTarget(fmt.Sprintf("from kill -9 of the driving coordinator to progress, worst of %d", rounds), "<= 10 s",
		fmt.Sprintf("%.1f s", worst.Seconds()), worst <= 10*time.Second)
	return nil
}

func (b *bench) failoverOnce(ctx context.Context) (took time.Duration, err error) {
	f, err := b.start(ctx, fleet.Config{Coordinators: 2, Workers: 2, Slots: 2}, 10*time.Millisecond)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := f.Repository(ctx, "failover"); err != nil {
		return 0, err
	}
	i, err := f.Begin(ctx, 0, "failover", "main", "hive-100k", "")
	if err != nil {
		return 0, err
	}
	f.Coordinators[0].Kill()
	killed := time.Now()
	i = i.Ask(f.Clients[1])
	_, err = i.Wait(ctx, time.Minute, 20*time.Millisecond, func(st api.ImportStatusResp) bool {
		if st.IngestedObjects > 0 && took == 0 {
			took = time.Since(killed)
		}
		return false
	})
	return took, err
}

// workerKill kills a worker in the middle of an import, several times.
func (b *bench) workerKill(ctx context.Context) error {
	const rounds = 3
	var measured []string
	met := true
	for round := range rounds {
		redone, held, err := b.workerKillOnce(ctx, round)
		if err != nil {
			return err
		}
		measured = append(measured, fmt.Sprintf("%d for %d", redone, held))
		met = met && redone <= held
	}
	b.addTarget("ranges stored again after kill -9 of one of 8 workers, for the partitions that it held", "<= 1 for each",
		strings.Join(measured, ", "), met)
	return nil
}

// workerKillOnce kills the worker with the most partitions. It returns the number of files
// that were stored again, and the number of partitions that the worker held.
func (b *bench) workerKillOnce(ctx context.Context, round int) (redone, held int64, err error) {
	f, err := b.start(ctx, fleet.Config{
		Coordinators: 1, Workers: 8, Slots: 2, MaxLists: fewLists, Env: []string{"RANGEFLEET_NATS_ACK_WAIT=10s"},
	}, b.latency)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	if err := f.Repository(ctx, "kill"); err != nil {
		return 0, 0, err
	}
	bucket := "hive-" + b.size
	objects, err := count(bucket)
	if err != nil {
		return 0, 0, err
	}
	err = b.row(ctx, f, fmt.Sprintf("hive by 8, one killed, round %d", round+1), objects, func(row *Row) error {
		i, err := f.Begin(ctx, 0, "kill", "main", bucket, "")
		if err != nil {
			return err
		}
		if _, err := i.Wait(ctx, patience, 20*time.Millisecond, func(st api.ImportStatusResp) bool {
			return st.IngestedObjects > objects/3
		}); err != nil {
			return err
		}
		if held, err = killBusiest(ctx, f); err != nil {
			return err
		}
		return finish(ctx, i, row, time.Second)
	})
	if err != nil {
		return 0, 0, err
	}
	row := b.rows[len(b.rows)-1]
	return row.Puts - int64(row.Ranges) - 1, held, nil // 1 is the metarange
}

// killBusiest kills the worker with the most partitions and returns how many it held. These
// include partitions whose last ranges are being stored.
func killBusiest(ctx context.Context, f *fleet.Fleet) (held int64, err error) {
	victim := f.Workers[0]
	for _, w := range f.Workers {
		n, err := w.Metric(ctx, "rangefleet_worker_slots_busy")
		if err != nil {
			return 0, err
		}
		if int64(n) > held {
			victim, held = w, int64(n)
		}
	}
	victim.Kill()
	return held, nil
}

// messages judges the number of messages of an import, which must be the only one of its
// fleet. It counts messages that ranges and partitions cause apart from periodic ones.
func (b *bench) messages(ctx context.Context, f *fleet.Fleet, row Row) error {
	var caused float64
	for _, p := range append(f.Coordinators, f.Workers...) {
		n, err := p.Metric(ctx, "rangefleet_queue_published_total", "rangefleet_queue_acks_total")
		if err != nil {
			return err
		}
		caused += n
	}
	perRange, perSecond := caused/float64(row.Ranges), (float64(row.In)-caused)/row.Wall.Seconds()
	b.addTarget("NATS messages per range: covers, partitions, their notes, and acknowledgements", "<= 2", fmt.Sprintf("%.2f", perRange), perRange <= 2)
	b.addTarget("periodic NATS messages (heartbeats, polls, lease renewals) per second and process", "",
		fmt.Sprintf("%.1f", perSecond/float64(len(f.Coordinators)+len(f.Workers))), true)
	return nil
}

func (b *bench) huge(ctx context.Context) error {
	f, err := b.start(ctx, fleet.Config{Coordinators: 1, Workers: b.workers, Slots: 1, Keep: 1 << 20}, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	row, err := b.importBucket(ctx, f, "hive-"+b.options.huge, "hive-"+b.options.huge)
	if err != nil {
		return err
	}
	b.addTarget(fmt.Sprintf("%s objects, %d workers", b.options.huge, b.workers), "finishes", fmt.Sprintf("%.0f s", row.Wall.Seconds()), true)
	b.addTarget("memory of the coordinator during that import", "<= 256 MiB", fmt.Sprintf("%.0f MiB", row.Peak.Coordinator), row.Peak.Coordinator <= 256)
	return b.messages(ctx, f, row)
}

// alone measures an import by one process that is a whole fleet.
func (b *bench) alone(ctx context.Context) error {
	f, err := b.start(ctx, fleet.Config{Alone: true}, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	bucket := "hive-" + b.options.alone
	row, err := b.importBucket(ctx, f, bucket+" by one process", bucket)
	if err != nil {
		return err
	}
	b.addTarget(fmt.Sprintf("memory of one process with default settings, %s objects", b.options.alone), "<= 256 MiB",
		fmt.Sprintf("%.0f MiB", row.Peak.Coordinator), row.Peak.Coordinator <= 256)
	return nil
}

// count returns the number of objects in a generated bucket.
func count(bucket string) (int64, error) {
	set, ok := keyset.Parse(bucket)
	if !ok {
		return 0, fmt.Errorf("%q names no generated bucket", bucket)
	}
	return set.Len(), nil
}
