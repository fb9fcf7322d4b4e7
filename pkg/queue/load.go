package queue

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Load is how the bulk lane stood at some moment.
type Load struct {
	Waiting int    `json:"waiting"`        // requests that wait for a partition
	Running int    `json:"running"`        // partitions that were delivered and may be worked on
	Pending int    `json:"pending"`        // partitions that nobody was given yet
	Next    string `json:"next,omitempty"` // the import of the first of these
}

// Hungry reports whether somebody waits for a partition and none is pending.
func (l Load) Hungry() bool { return l.Waiting > 0 && l.Pending == 0 }

// load asks NATS how the bulk lane stands.
func (q *Queue) load(ctx context.Context) (Load, error) {
	cons, err := q.js.Consumer(ctx, workStream, Bulk.consumer())
	if err != nil {
		return Load{}, err
	}
	info := cons.CachedInfo()
	l := Load{Waiting: info.NumWaiting, Running: info.NumAckPending, Pending: int(info.NumPending)}
	if l.Pending == 0 {
		return l, nil
	}
	stream, err := q.stream(ctx, workStream)
	if err != nil {
		return Load{}, err
	}
	next, err := stream.GetMsg(ctx, info.Delivered.Stream+1, jetstream.WithGetMsgSubject(Bulk.subject("*", "*")))
	switch {
	case err == nil:
		l.Next, _ = partitionOf(next.Subject)
	case !errors.Is(err, jetstream.ErrMsgNotFound): // it was delivered since
		return Load{}, err
	}
	return l, nil
}

// lookEvery is how often the load is looked at, hungryEvery how often while somebody
// waits in vain, and patience how much longer, at random and in parts of these, a
// process waits for others to do it.
const (
	lookEvery   = time.Second
	hungryEvery = 500 * time.Millisecond
	patience    = 0.5
	topicLoad   = "load"
)

// A look that was prompted is made once whoever prompted it has begun to wait, after
// settleIn, and not sooner than promptEvery after the one before.
const (
	settleIn    = 50 * time.Millisecond
	promptEvery = 200 * time.Millisecond
)

// Outlook knows how the bulk lane stood a moment ago. All processes that have one
// learn from each other: whoever has heard nothing for a second asks NATS and
// tells the others, so that a fleet asks about as often as one process would. Its
// methods may be called concurrently.
type Outlook struct {
	mu       sync.Mutex
	load     Load
	seq      uint64
	at       time.Time // when load was heard; zero before the first one
	prompted time.Time
}

// Latest returns the load that was heard last, and a number that grows with each
// one; 0 is none.
func (o *Outlook) Latest() (l Load, seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.load, o.seq
}

// Prompt says that somebody begins to wait now: the others should hear of it
// sooner than when they would look.
func (o *Outlook) Prompt() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.prompted = time.Now()
}

func (o *Outlook) hear(data []byte) {
	var l Load
	if json.Unmarshal(data, &l) != nil {
		return // of another version, perhaps
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.load, o.at = l, time.Now()
	o.seq++
}

// due reports whether to look now, by a process that is as patient as that.
func (o *Outlook) due(now time.Time, needed bool, patient float64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if begun := o.prompted.Add(settleIn); !o.prompted.IsZero() && o.at.Before(begun) {
		if now.After(begun) && now.Sub(o.at) >= promptEvery {
			return true
		}
	}
	every := lookEvery
	if o.load.Hungry() {
		every = hungryEvery
	}
	return needed && now.Sub(o.at) >= time.Duration(patient*float64(every))
}

// Outlook returns an Outlook that is kept up to date until ctx ends. It hears
// what others tell, and asks only while needed says so, or when it is prompted.
func (q *Queue) Outlook(ctx context.Context, needed func() bool) (*Outlook, error) {
	o := &Outlook{}
	if err := q.Hear(ctx, topicLoad, o.hear); err != nil {
		return nil, err
	}
	go q.look(ctx, o, needed)
	return o, nil
}

func (q *Queue) look(ctx context.Context, o *Outlook, needed func() bool) {
	tick := time.NewTicker(settleIn)
	defer tick.Stop()
	for patient := 1.0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !o.due(time.Now(), needed(), patient) {
			continue
		}
		patient = 1 + patience*rand.Float64()
		if err := q.tellLoad(ctx); err != nil && ctx.Err() == nil {
			q.metrics.retries.WithLabelValues("read").Inc()
			q.log.Debug("look at the work queue", "err", err)
			_ = jittered(ctx, lastWait) // the loop looks at ctx
		}
	}
}

// tellLoad asks how the bulk lane stands and tells all, this process included.
func (q *Queue) tellLoad(ctx context.Context) error {
	return q.attempt(ctx, attemptTimeout, func(ctx context.Context) error {
		l, err := q.load(ctx)
		if err != nil {
			return err
		}
		data, err := json.Marshal(l)
		if err != nil {
			return err
		}
		return q.Tell(topicLoad, data)
	})
}
