package worker

import (
	"encoding/json"
	"time"
)

// topicRefused is where a worker tells that a store refused it a partition, which
// others are to take.
const topicRefused = "refused"

// refusal says that a worker was refused a partition, and until when it leaves those
// that are delivered to others.
type refusal struct {
	Worker string        `json:"worker"`
	For    time.Duration `json:"for"` // nanoseconds
}

// refusals are until when this worker leaves partitions to others, and until when it
// asks for those that another one was refused, though it has no room. The zero
// refusals are of a fleet without any.
type refusals struct{ shy, help clock }

func (r *refusals) shies(now time.Time) bool { return r.shy.since(now) < 0 }
func (r *refusals) helps(now time.Time) bool { return r.help.since(now) < 0 }

func (w *Worker) tellRefusal(d time.Duration) {
	w.refusals.shy.set(w.now().Add(d)) // even if it hears nothing
	w.say(topicRefused, refusal{w.name, d})
}

func (w *Worker) hearRefusal(data []byte) {
	var r refusal
	if json.Unmarshal(data, &r) != nil || r.Worker == w.name {
		return
	}
	w.refusals.help.set(w.now().Add(r.For))
}
