// Package scale says what an import of any size takes: calls, messages, memory,
// time and money, and which of its limits is reached first. It is arithmetic on
// what was measured of one worker, one coordinator and one NATS server; nothing
// is run.
package scale

import (
	"math"
	"slices"
	"time"
)

// PageKeys is how many keys a page of a listing holds.
const PageKeys = 1000

// Measured is what of the programs was measured.
type Measured struct {
	CPU            time.Duration // of a worker, for a million keys
	Slot           float64       // keys a second of a worker with one partition at a time, its store on the same machine
	Lists          float64       // LIST calls for each that cannot be done without
	Range          float64       // keys in a range
	PageKey        float64       // bytes of a page for each key
	Metarange      float64       // bytes of a metarange for each range
	Cover          float64       // bytes that NATS stores for each range
	Memory         float64       // bytes of a coordinator's memory for each range
	Landing        time.Duration // of a coordinator to fold the covers of a million ranges and write their metarange
	Stored         float64       // messages that a NATS server stores a second; heartbeats are not stored
	Messages       float64       // to NATS for each range, without heartbeats
	Idle           float64       // bytes of a coordinator's memory without imports
	Split          time.Duration // from one look for idle workers to the next, after which those that work hand over
	FirstCut       int           // partitions to begin with
	Pieces         int           // that a worker hands over at once, at most
	Tail           [2]float64    // wall time over that of workers that are always busy: up to 64 of them, and beyond
	InFlight       int           // LIST calls of a worker at most
	CoordinatorMax float64       // bytes that a coordinator is given
	PrefixLists    float64       // LIST calls a second that the store takes for one part of its keys
}

// Assumed is what differs from place to place.
type Assumed struct {
	Latency  time.Duration // of a LIST call
	Cores    float64       // of a worker's machine
	Network  float64       // bytes a second that it receives at all times
	Machine  float64       // dollars an hour
	Others   int           // machines that are no workers: coordinators, NATS servers
	ListCost float64       // dollars for a LIST call
	PutCost  float64       // dollars for a PUT call
}

// Work is what an import takes however many workers share it.
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

// Work returns what an import of so many keys takes.
func (m Measured) Work(a Assumed, keys float64) Work {
	ranges := math.Ceil(keys / m.Range)
	w := Work{
		Keys: keys, Ranges: ranges, Lists: math.Ceil(keys / PageKeys * m.Lists), Messages: ranges * m.Messages,
		Covers: ranges * m.Cover, Metarange: ranges * m.Metarange, Memory: m.Idle + ranges*m.Memory,
	}
	w.Calls = w.Lists*a.ListCost + (ranges+1)*a.PutCost
	return w
}

// Limit is how many keys a second one thing permits.
type Limit struct {
	Name string
	Keys float64
}

// Limits returns what bounds the listing of workers from a store whose keys lie
// in so many parts, the lowest first.
func (m Measured) Limits(a Assumed, workers, parts int) []Limit {
	n := float64(workers)
	perList := PageKeys / m.Lists // keys that a LIST call brings on
	limits := []Limit{
		{"CPU of workers", n * a.Cores / m.CPU.Seconds() * 1e6},
		{"workers, as they are", n * m.Slot},
		{"network of workers", n * a.Network / (m.PageKey * m.Lists)},
		{"latency of LIST", n * float64(m.InFlight) / a.Latency.Seconds() * perList},
		{"the store", float64(parts) * m.PrefixLists * perList},
		{"NATS", m.Stored / m.Messages * m.Range},
	}
	slices.SortStableFunc(limits, func(x, y Limit) int { return int(math.Copysign(1, x.Keys-y.Keys)) })
	return limits
}

// Run is an import by so many workers.
type Run struct {
	Workers int
	Parts   int
	Wall    time.Duration
	Keys    float64 // a second, while it lists
	First   string  // the limit
	Machine float64 // dollars for machines
}

// Run returns how long an import takes: until each worker has a part, until all
// is listed, and until the metarange is written.
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

// looks is how often the fleet must look for idle workers until each has a part.
func (m Measured) looks(workers int) (n float64) {
	for busy := m.FirstCut; busy < workers; busy *= 1 + m.Pieces {
		n++
	}
	return n
}

// tail is what the end of an import costs, when there is not enough left for all.
func (m Measured) tail(workers int) float64 {
	if workers <= 64 {
		return m.Tail[0]
	}
	return m.Tail[1]
}
