package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/test/chaos/overlay"
)

// kind is a kind of fault.
type kind struct {
	name        string
	about       string
	on          []layout // layouts on which the kind is possible; nil for all
	clock       bool     // the kind needs programs whose clocks can jump
	least, most time.Duration
	targets     func(plan) []string
	affects     func(p plan, target string) []string // things that at most one fault may affect at a time
	inject      func(ctx context.Context, w *world, f fault) error
}

func (k *kind) possible(l layout, a abilities) bool {
	return (len(k.on) == 0 || slices.Contains(k.on, l)) && (a.clock || !k.clock) && (a.mounts || k.name != fullKind)
}

// inShortRun reports whether the short run on the layout has the kind. The short runs divide
// the kinds among them.
func (k *kind) inShortRun(l layout, a abilities) bool {
	on := slices.DeleteFunc([]layout{plain, small, loop, embedded}, func(l layout) bool {
		return !k.possible(l, a) || !a.mounts && (l == small || l == loop)
	})
	return on[slices.Index(kinds, k)%len(on)] == l
}

// Kinds of faults that are set when a process starts, and the kind that gives an embedded
// server a disk.
const (
	pointKind = "point"
	slowKind  = "one-processor"
	fullKind  = "disk-full"
)

// cluster holds the layouts with a cluster of NATS servers.
var cluster = []layout{plain, small, loop}

// Targets.

func ofWorkers(plan) []string      { return names("worker", workers) }
func ofCoordinators(plan) []string { return names("coordinator", coordinators) }
func ofNATS(plan) []string         { return names("nats", natsServers) }
func ofClients(p plan) []string    { return slices.Concat(ofWorkers(p), ofCoordinators(p)) }
func everywhere(plan) []string     { return []string{"all"} }
func ofStore(plan) []string        { return []string{"coordinator-0"} }
func ofDisks(p plan) []string      { return append(ofNATS(p), "all") }

func ofFull(p plan) []string {
	if p.layout == embedded {
		return ofStore(p)
	}
	return ofDisks(p)
}

func ofS3(p plan) []string { return append(ofClients(p), "all", "all") }

func ofProcesses(p plan) []string {
	if p.layout == embedded {
		return ofClients(p)
	}
	return append(ofClients(p), ofNATS(p)...)
}

// Things that faults affect. A fault of a process or of its disk affects the process.

func process1(_ plan, target string) []string { return []string{"process " + target} }
func natsLink(_ plan, target string) []string { return []string{"nats link " + target} }
func routes(plan, string) []string            { return []string{"routes"} }
func storeItself(plan, string) []string       { return []string{"s3"} }
func storeBits(plan, string) []string         { return []string{"bits"} }
func storeFiles(plan, string) []string        { return []string{"files", "bits"} }
func live(plan, string) []string              { return []string{"live"} }
func slowness(_ plan, target string) []string { return []string{"processors of " + target} }
func itself(_ plan, target string) []string   { return []string{"itself " + target} }

func allWorkers(p plan, _ string) []string {
	var all []string
	for _, name := range ofWorkers(p) {
		all = append(all, "process "+name)
	}
	return all
}

func disks(p plan, target string) []string {
	if target != "all" {
		return process1(p, target)
	}
	var all []string
	for _, name := range ofNATS(p) {
		all = append(all, "process "+name)
	}
	return all
}

func s3Link(p plan, target string) []string {
	if target != "all" {
		return []string{"s3 link " + target}
	}
	var all []string
	for _, name := range ofClients(p) {
		all = append(all, "s3 link "+name)
	}
	return all
}

const (
	tenth  = 100 * time.Millisecond
	second = time.Second
)

// kinds are all kinds of faults.
var kinds = []*kind{
	{"kill-worker", "kill -9 of a worker, which stays down", nil, false, tenth, 4 * second, ofWorkers, process1, kill},
	{"kill-coordinator", "kill -9 of a coordinator", nil, false, tenth, 4 * second, ofCoordinators, process1, kill},
	{"kill-nats", "kill -9 of a NATS server, or all", cluster, false, tenth, 5 * second, ofDisks, disks, kill},
	{"kill-leader", "kill -9 of the NATS server that leads a stream", cluster, false, tenth, 4 * second, everywhere, allDisks, killLeader},
	{"kill-half", "half of the workers killed, again and again", nil, false, 5 * second, 12 * second, everywhere, allWorkers, killHalf},
	{pointKind, "a process dies, or is delayed, before or after a step", nil, false, tenth, tenth, ofClients, itself, nil},
	{"freeze-worker", "a worker is frozen for longer than ack_wait", nil, false, 4 * second, 7 * second, ofWorkers, process1, freeze},
	{"freeze-coord", "a coordinator is frozen for longer than lease_ttl", nil, false, 3 * second, 6 * second, ofCoordinators, process1, freeze},
	{"freeze-nats", "a NATS server is frozen, and afterwards answers with stale values", cluster, false, second, 8 * second, ofNATS, process1, freeze},
	{"term-worker", "SIGTERM to a worker, as when the fleet shrinks", nil, false, tenth, 3 * second, ofWorkers, process1, term},
	{"term-coord", "SIGTERM to a coordinator, as when it is replaced", nil, false, tenth, 3 * second, ofCoordinators, process1, term},
	{slowKind, "a process uses only one processor during the whole run", nil, false, tenth, tenth, ofProcesses, slowness, nil},
	{"clock", "the wall clock of a process jumps by an hour, and back", nil, true, 2 * second, 6 * second, ofProcesses, process1, jump},

	{"nats-cut", "a process is cut off from NATS", nil, false, second, 6 * second, ofClients, natsLink, natsCut},
	{"nats-blackhole", "all bytes between a process and NATS are held", nil, false, second, 9 * second, ofClients, natsLink, natsBlackhole},
	{"nats-deaf", "NATS receives the messages of a process, but its answers are lost", nil, false, second, 7 * second, ofClients, natsLink, natsDeaf},
	{"nats-late", "messages of a process arrive after it has given up", nil, false, 5 * second, 8 * second, ofClients, natsLink, natsLate},
	{"nats-trickle", "a byte per second between a process and NATS", nil, false, second, 5 * second, ofClients, natsLink, natsTrickle},
	{"nats-delay", "all bytes between a process and NATS are delayed", nil, false, 2 * second, 8 * second, ofClients, natsLink, natsDelay},
	{"partition", "a NATS server is cut off from the others, both ways or one way", cluster, false, 2 * second, 9 * second, ofNATS, routes, isolate},
	{"stepdown", "the leaders of streams and consumers step down, again and again", cluster, false, 2 * second, 6 * second, everywhere, itself, stepdown},
	{"duplicate", "partitions and covers are published again, late", nil, false, 2 * second, 8 * second, everywhere, itself, duplicate},
	{"lost-messages", "stored partitions and covers are deleted", nil, false, second, 5 * second, everywhere, itself, lose},
	{"power-cut", "a power cut: data that NATS did not sync are lost", []layout{loop}, false, tenth, 2 * second, ofDisks, disks, powerCut},
	{fullKind, "the disk of NATS is full", []layout{small, embedded}, false, second, 5 * second, ofFull, disks, diskFull},
	{"disk-hang", "the disks of one NATS server, or of all, block writes", []layout{loop}, false, second, 7 * second, ofDisks, disks, diskHang},
	{"disk-error", "the disk of a NATS server fails until the server is restarted", []layout{loop}, false, second, 5 * second, ofNATS, process1, diskError},
	{"nats-roll", "NATS servers are restarted one after another with other settings", cluster, false, 6 * second, 9 * second, everywhere, allDisks, rollNATS},
	{"second-server", "a second embedded NATS server on one store directory", []layout{embedded}, false, tenth, 3 * second, ofStore, process1, secondServer},

	{"s3-blackhole", "S3 does not answer", nil, false, second, 8 * second, ofS3, s3Link, s3Blackhole},
	{"s3-refuse", "connections to S3 are reset and refused", nil, false, second, 6 * second, ofS3, s3Link, s3Refuse},
	{"s3-trickle", "a byte per second to and from S3", nil, false, second, 6 * second, ofS3, s3Link, s3Trickle},
	{"s3-lost-answer", "S3 serves requests, but its answers are lost", nil, false, second, 4 * second, ofS3, s3Link, s3LostAnswer},
	{"s3-errors", "a third of the calls to S3 fail or are cut short", nil, false, 2 * second, 8 * second, everywhere, storeItself, s3Errors},
	{"s3-throttle", "S3 allows few calls per second", nil, false, 2 * second, 8 * second, everywhere, storeItself, s3Throttle},
	{"s3-slow", "calls to S3 take several seconds", nil, false, 2 * second, 6 * second, everywhere, storeItself, s3Slow},
	{"s3-quirks", "S3 answers short pages, claims that they are the last, and counts their keys wrongly", nil, false, 2 * second, 8 * second, everywhere, storeItself, s3Quirks},
	{"s3-flip", "S3 returns files with a flipped bit", nil, false, 2 * second, 8 * second, everywhere, storeBits, s3Flip},
	{"s3-stale", "S3 returns stale pages", nil, false, 2 * second, 8 * second, everywhere, live, s3Stale},
	{"churn", "a source gains and loses keys while it is imported", nil, false, 4 * second, 8 * second, everywhere, live, churn},
	{"tamper", "a stored file is changed and its checksums are adjusted: its readers fail and name it", nil, false, tenth, tenth, everywhere, storeFiles, tamper},
	{"poison", "S3 always refuses to list some keys: that import fails, others go on", nil, false, tenth, tenth, everywhere, itself, nil},
}

func allDisks(p plan, _ string) []string { return disks(p, "all") }

// points are the functions before and after which a process can die. Each makes something
// durable or visible.
var points = []overlay.Func{
	{Dir: "pkg/queue", Recv: "Queue", Name: "Publish"},
	{Dir: "pkg/covers", Recv: "Log", Name: "Publish"},
	{Dir: "pkg/queue", Recv: "Puller", Name: "Pull"},
	{Dir: "pkg/kv", Recv: "Leases", Name: "Acquire"},
	{Dir: "pkg/queue", Recv: "Queue", Name: "Discard"},
	{Dir: "pkg/queue", Recv: "Task", Name: "Ack"},
	{Dir: "pkg/queue", Recv: "Task", Name: "Nak"},
	{Dir: "pkg/queue", Recv: "Task", Name: "Extend"},
	{Dir: "pkg/kv", Recv: "bucket", Name: "write"},
	{Dir: "pkg/kv", Recv: "bucket", Name: "Delete"},
	{Dir: "pkg/namespace", Recv: "Files", Name: "Put"},
	{Dir: "pkg/imports", Recv: "Store", Name: "Create"},
	{Dir: "pkg/imports", Recv: "Store", Name: "Apply"},
	{Dir: "pkg/catalog", Recv: "Catalog", Name: "AddCommit"},
	{Dir: "pkg/catalog", Recv: "Catalog", Name: "MoveBranch"},
	{Dir: "pkg/catalog", Recv: "Catalog", Name: "SetMetadata"},
}

// The points of workers, and those of coordinators.
var (
	workerPoints      = []string{"queue.Queue.Publish", "covers.Log.Publish", "queue.Puller.Pull", "queue.Task.Ack", "queue.Task.Nak", "queue.Task.Extend", "namespace.Files.Put"}
	coordinatorPoints = []string{
		"queue.Queue.Publish", "kv.Leases.Acquire", "queue.Queue.Discard", "kv.bucket.write", "kv.bucket.Delete", "namespace.Files.Put",
		"imports.Store.Create", "imports.Store.Apply", "catalog.Catalog.AddCommit", "catalog.Catalog.MoveBranch", "catalog.Catalog.SetMetadata",
	}
)

// point returns the value of CHAOS_POINT for a fault of kind pointKind.
func (f fault) point() string {
	if f.step != "" {
		return f.step
	}
	from := coordinatorPoints
	if f.target[0] == 'w' {
		from = workerPoints
	}
	d := f.detail
	name, when := from[d%uint64(len(from))], "before"
	if d>>16%2 == 1 {
		when = "after"
	}
	what := "kill"
	if d>>20%4 == 0 {
		what = "5s" // longer than ack_wait and lease_ttl
	}
	pass := 1 + d>>32%often(name)
	return fmt.Sprintf("%s/%s/%d/%s", name, when, pass, what)
}

// often returns about how many times a process passes a point in a run, or in the rest of a
// run.
func often(point string) uint64 {
	switch point {
	case "covers.Log.Publish", "namespace.Files.Put", "kv.bucket.write":
		return 40
	case "queue.Task.Ack", "queue.Puller.Pull", "queue.Queue.Publish", "queue.Task.Extend", "imports.Store.Apply":
		return 8
	default:
		return 2
	}
}
