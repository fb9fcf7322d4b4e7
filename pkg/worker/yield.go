package worker

import (
	"time"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// yielding decides when a partition gives way to those of other imports: once it has
// been at work for a slice of time, if a partition of another import is the next in
// line. A walk that gives way starts over, so it goes on for as long as it took to
// come to its first new key: repeated keys take half of its time at most.
type yielding struct {
	importID string
	slice    time.Duration
	load     *queue.LoadWatch
	chance   chance
	pace     *pace
	decided  uint64 // number of the load for which it last decided whether to give way
}

// due reports whether the partition gives way now. It decides once for each load.
func (y *yielding) due() bool {
	total, fresh := y.pace.atWork()
	if total < y.slice || fresh < total-fresh {
		return false
	}
	load, seq := y.load.Last()
	if seq == y.decided || load.Next == "" || load.Next == y.importID {
		return false
	}
	y.decided = seq
	return y.chance.elects(load.Pending, load.Running)
}
