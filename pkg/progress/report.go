// Package progress works out how far an import is from what workers report of the partitions
// that they list: how many keys were listed, how many the import will have, how fast that goes
// and when it ends. Nothing depends on it but what people are shown.
//
// Reports may be lost, late, and sent twice. So each report says where the keys lie that it
// counts, and what covers or other reports count is counted once.
//
// It is pure: its callers pass the time in.
package progress

import (
	"fmt"
	"math"

	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// State is what happens to a partition.
type State string

// The states of a partition.
const (
	Listing State = "listing" // a worker lists it
	Waiting State = "waiting" // it waits for a worker
	Over    State = "over"    // it is done, and its covers are stored

	// Again is told once, as a delivery begins: those before got no further, and did not just give the
	// partition back. A Tally takes no such report, as nothing is listed yet.
	Again State = "again"
)

// Report is what the holder of a partition tells of it. Each report tells all that the ones
// before it told, except that of the state Again.
type Report struct {
	ImportID    string `json:"import"`
	PartitionID string `json:"partition"`
	Worker      string `json:"worker"`   // names the process
	Delivery    string `json:"delivery"` // names one delivery of the partition
	Number      int64  `json:"number"`   // of the delivery's reports; it grows
	State       State  `json:"state"`

	// Keys are the keys of Span, which were listed and which the partition owns. Span begins
	// where the last cover of the delivery ends, and ends with the last one of the keys.
	Span partition.Span `json:"span"`
	Keys int64          `json:"keys"`

	Left Guess `json:"left,omitzero"` // keys that are to be listed after them

	Throttles int64 `json:"throttles,omitempty"` // calls of the delivery that a store refused for now
	Retries   int64 `json:"retries,omitempty"`   // calls of the delivery that were repeated
}

// Guess is a number of keys that is not known exactly. The zero Guess is that nothing is known.
type Guess struct {
	Keys int64 `json:"keys"`
	Low  int64 `json:"low"`
	High int64 `json:"high"` // 0 if there is no telling
	Wild bool  `json:"wild"` // nothing tells where the keys end
	Some bool  `json:"some"` // the guess is worth something; Keys may be 0
}

// mostKeys bounds the numbers of keys of reports: sums of them must not overflow.
const mostKeys = 1e15

// NewGuess returns a guess of a number of keys that probably is between low and high.
func NewGuess(low, keys, high float64) Guess {
	whole := func(x float64) int64 { return int64(math.Round(min(max(x, 0), mostKeys))) }
	return Guess{Keys: whole(keys), Low: whole(low), High: whole(high), Some: true}
}

// Part returns a guess of one of n parts, whose sizes are not known.
func (g Guess) Part(n int) Guess {
	g.Keys, g.Low, g.High = g.Keys/int64(n), 0, min(g.High, 2*g.High/int64(n))
	return g
}

// Check returns an error that names the first field of a report that cannot be right. Whoever
// has a worker's credentials may have sent it.
func (r Report) Check() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"number", r.Number},
		{"keys", r.Keys},
		{"left.keys", r.Left.Keys},
		{"left.low", r.Left.Low},
		{"left.high", r.Left.High},
		{"throttles", r.Throttles},
		{"retries", r.Retries},
	} {
		if f.value < 0 || f.value > mostKeys {
			return fmt.Errorf("%s: %d is not between 0 and %d", f.name, f.value, int64(mostKeys))
		}
	}
	for _, f := range []struct{ name, value string }{
		{"import", r.ImportID}, {"partition", r.PartitionID}, {"worker", r.Worker}, {"delivery", r.Delivery}, {"span.after", r.Span.After}, {"span.upto", r.Span.Upto},
	} {
		if len(f.value) > limits.Key {
			return fmt.Errorf("%s: %d bytes are more than %d", f.name, len(f.value), limits.Key)
		}
	}
	switch {
	case r.State != Listing && r.State != Waiting && r.State != Over && r.State != Again:
		return fmt.Errorf("state: unknown value %.20q", r.State)
	case r.Keys > 0 && r.Span.Upto <= r.Span.After:
		return fmt.Errorf("span: %d keys cannot lie in %v", r.Keys, r.Span)
	}
	return nil
}

// Step is what the driver of an import tells of what it does itself.
type Step struct {
	ImportID string `json:"import"`
	Busy     bool   `json:"busy"` // it plans or commits the import, or waits for its turn to; else keys are listed

	// Ranges of the new tree that were read or written so far, and about how many it will have;
	// 0 while no tree is made.
	Ranges          int `json:"ranges,omitempty"`
	EstimatedRanges int `json:"estimated_ranges,omitempty"`

	Retries int64 `json:"retries,omitempty"` // steps that were tried again
}
