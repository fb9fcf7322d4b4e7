// Package scale computes the cost of an import of any size, in calls, messages, memory, time
// and money, and which limit is reached first. It extrapolates from measurements of one
// worker, one coordinator and one NATS server.
package scale

import (
	"math"
	"slices"
	"time"
)

// PageKeys is the number of keys in a page of a listing.
const PageKeys = 1000

// Measured holds the measured numbers.
type Measured struct {
	CPU            time.Duration // CPU time of a worker for a million keys
	Slot           float64       // keys per second of a worker with one slot and its store on the same machine
	Lists          float64       // LIST calls over the least number of them
	Range          float64       // keys per range
	PageKey        float64       // bytes of a page per key
	Metarange      float64       // bytes of a metarange per range
	Cover          float64       // bytes that NATS stores per range
	Memory         float64       // bytes of a coordinator's memory per range
	Landing        time.Duration // for a coordinator to fold the covers of a million ranges and write their metarange
	Stored         float64       // messages that a NATS server stores per second; heartbeats are not stored
	Messages       float64       // messages to NATS per range, without heartbeats
	Idle           float64       // bytes of a coordinator's memory without imports
	Split          time.Duration // interval at which busy workers learn of idle ones and hand over
	FirstCut       int           // partitions at the start
	Pieces         int           // most pieces that a worker hands over at once
	Tail           [2]float64    // wall time over that of workers that are always busy: up to 64 workers, and beyond
	InFlight       int           // most LIST calls in flight of a worker
	CoordinatorMax float64       // memory limit of a coordinator, in bytes
	PrefixLists    float64       // LIST calls per second that the store accepts for one part of its keys
}

// Assumed holds assumptions about the place where a fleet runs.
type Assumed struct {
	Latency  time.Duration // of a LIST call
	Cores    float64       // cores of a worker's machine
	Network  float64       // bytes per second that such a machine can always receive
	Machine  float64       // dollars per hour and machine
	Others   int           // machines for coordinators and NATS servers
	ListCost float64       // dollars for a LIST call
	PutCost  float64       // dollars for a PUT call
}

// Work is the part of the cost of an import that does not depend on the number of workers.
type Work struct {
	Keys      float64
	Lists     float64 // calls
	Ranges    float64
	Messages  float64 // without heartbeats
	Covers    float64 // bytes in NATS
	Metarange float64 // bytes
	Memory    float64 // bytes of the coordinator that drives it
	Calls     float64 // dollars for LIST and PUT
}

// Work returns the work of an import of the given number of keys.
func (m Measured) Work(a Assumed, keys float64) Work {
	ranges := math.Ceil(keys / m.Range)
	w := Work{
		Keys: keys, Ranges: ranges, Lists: math.Ceil(keys / PageKeys * m.Lists), Messages: ranges * m.Messages,
		Covers: ranges * m.Cover, Metarange: ranges * m.Metarange, Memory: m.Idle + ranges*m.Memory,
	}
	w.Calls = w.Lists*a.ListCost + (ranges+1)*a.PutCost
	return w
}

// Limit is an upper bound of the throughput, in keys per second.
type Limit struct {
	Name string
	Keys float64
}

// Limits returns the limits of a number of workers that list a bucket, the lowest first. The
// store limits LIST calls for each of the parts of the bucket.
func (m Measured) Limits(a Assumed, workers, parts int) []Limit {
	n := float64(workers)
	perList := PageKeys / m.Lists // new keys per LIST call
	limits := []Limit{
		{"CPU of workers", n * a.Cores / m.CPU.Seconds() * 1e6},
		{"measured speed of a worker", n * m.Slot},
		{"network of workers", n * a.Network / (m.PageKey * m.Lists)},
		{"latency of LIST", n * float64(m.InFlight) / a.Latency.Seconds() * perList},
		{"the store", float64(parts) * m.PrefixLists * perList},
		{"NATS", m.Stored / m.Messages * m.Range},
	}
	slices.SortStableFunc(limits, func(x, y Limit) int { return int(math.Copysign(1, x.Keys-y.Keys)) })
	return limits
}

// Run is an import by a number of workers.
type Run struct {
	Workers int
	Parts   int
	Wall    time.Duration
	Keys    float64 // keys per second while it lists
	First   string  // the lowest limit
	Machine float64 // cost of machines, in dollars
}

// Run returns the time and the cost of an import. The time is the sum of three parts: until
// each worker has a partition, until everything is listed, and until the metarange is
// written.
func (m Measured) Run(a Assumed, keys float64, workers, parts int) Run {
	w, limit := m.Work(a, keys), m.Limits(a, workers, parts)[0]
	spread := m.looks(workers) * m.Split.Seconds()
	landing := w.Ranges / 1e6 * m.Landing.Seconds()
	seconds := spread + keys/limit.Keys*m.tail(workers) + landing
	r := Run{Workers: workers, Parts: parts, Keys: limit.Keys, First: limit.Name, Wall: time.Duration(seconds * float64(time.Second))}
	if landing > seconds/2 {
		r.First = "the coordinator, at the end"
	}
	r.Machine = float64(workers+a.Others) * a.Machine * r.Wall.Hours()
	return r
}

// looks returns how many rounds of hand-overs it takes until each worker has a partition.
func (m Measured) looks(workers int) (n float64) {
	for busy := m.FirstCut; busy < workers; busy *= 1 + m.Pieces {
		n++
	}
	return n
}

// tail returns the factor by which the end of an import, when workers run idle, prolongs it.
func (m Measured) tail(workers int) float64 {
	if workers <= 64 {
		return m.Tail[0]
	}
	return m.Tail[1]
}
