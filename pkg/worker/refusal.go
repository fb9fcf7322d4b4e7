package worker

import (
	"encoding/json"
	"time"
)

// topicRefused is where a worker broadcasts that a store refused it the keys of a
// partition, which others are to take.
const topicRefused = "refused"

// refusal says that a store refused a worker the keys of a partition, and for how long
// the worker leaves to others what is delivered.
type refusal struct {
	Worker string        `json:"worker"`
	For    time.Duration `json:"for"` // nanoseconds
}

// refusals say until when this worker avoids partitions, after a store refused it the
// keys of one, and until when it takes those that were refused to others, although it
// has no room. It is safe for concurrent use.
type refusals struct {
	worker    string // this one
	now       func() time.Time
	broadcast func(topic string, message any)

	avoid, take clock // until when
}

func (r *refusals) avoids() bool       { return r.avoid.since(r.now()) < 0 }
func (r *refusals) takesRefused() bool { return r.take.since(r.now()) < 0 }

// refused has this worker avoid partitions for a while, and others take them.
func (r *refusals) refused(d time.Duration) {
	r.avoid.set(r.now().Add(d)) // even if no message arrives
	r.broadcast(topicRefused, refusal{r.worker, d})
}

func (r *refusals) receive(data []byte) {
	var m refusal
	if json.Unmarshal(data, &m) != nil || m.Worker == r.worker {
		return
	}
	r.take.set(r.now().Add(m.For))
}
