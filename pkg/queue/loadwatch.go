package queue

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// LaneLoad is the load of the bulk lane at some moment.
type LaneLoad struct {
	Waiting int    `json:"waiting"`        // requests that wait for a partition
	Running int    `json:"running"`        // partitions that were delivered and may be worked on
	Pending int    `json:"pending"`        // partitions that were not delivered yet
	Next    string `json:"next,omitempty"` // the import of the first of these
}

// Starved reports whether a worker waits for a partition and none is pending.
func (l LaneLoad) Starved() bool { return l.Waiting > 0 && l.Pending == 0 }

// laneLoad asks NATS for the load of the bulk lane.
func (q *Queue) laneLoad(ctx context.Context) (LaneLoad, error) {
	cons, err := q.conn.JetStream.Consumer(ctx, streamName, Bulk.Consumer())
	if err != nil {
		return LaneLoad{}, err
	}
	info := cons.CachedInfo()
	l := LaneLoad{Waiting: info.NumWaiting, Running: info.NumAckPending, Pending: int(info.NumPending)}
	if l.Pending == 0 {
		return l, nil
	}
	next, err := q.stream.After(ctx, info.Delivered.Stream+1, Bulk.subject("*", "*"))
	switch {
	case err == nil:
		l.Next, _ = partitionOf(next.Subject)
	case !errors.Is(err, jetstream.ErrMsgNotFound): // it was delivered since
		return LaneLoad{}, err
	}
	return l, nil
}

// A process asks for the load if it has heard none for lookEvery, or for starvedEvery
// while the lane is starved. It waits up to half as long again (spread), at random, so
// that another process may ask first.
const (
	lookEvery    = time.Second
	starvedEvery = 500 * time.Millisecond
	spread       = 0.5
	topicLoad    = "load"
)

// A prompted look is made settleIn later, when the process that prompted it has begun to
// wait, and not sooner than promptEvery after the look before.
const (
	settleIn    = 50 * time.Millisecond
	promptEvery = 200 * time.Millisecond
)

// broadcaster is how processes share the load: what one broadcasts, all that listen
// receive, itself included, unless it is lost.
type broadcaster interface {
	Broadcast(topic string, message any) error // as JSON
	Listen(ctx context.Context, topic string, f func(data []byte)) error
}

// LoadWatch knows the load of the bulk lane of a moment ago. The processes of a fleet
// share it by gossip: one that has received nothing for a second asks NATS and
// broadcasts the answer, so that a fleet asks about as often as one process would. Its
// methods may be called concurrently.
type LoadWatch struct {
	mu       sync.Mutex
	load     LaneLoad
	seq      uint64
	at       time.Time // when load was received; zero before the first one
	prompted time.Time
}

// Last returns the load that was received last, and a number that grows with each one;
// 0 is none.
func (w *LoadWatch) Last() (l LaneLoad, seq uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.load, w.seq
}

// Prompt says that a worker begins to wait now: the others should learn of it sooner
// than by the next look.
func (w *LoadWatch) Prompt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prompted = time.Now()
}

func (w *LoadWatch) receive(data []byte) {
	var l LaneLoad
	if json.Unmarshal(data, &l) != nil {
		return // from another version, perhaps
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.load, w.at = l, time.Now()
	w.seq++
}

// due reports whether to ask now. stretch, at least 1, is how many times as long as the
// most eager process this one waits.
func (w *LoadWatch) due(now time.Time, needed bool, stretch float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if begun := w.prompted.Add(settleIn); !w.prompted.IsZero() && w.at.Before(begun) && now.After(begun) && now.Sub(w.at) >= promptEvery {
		return true
	}
	every := lookEvery
	if w.load.Starved() {
		every = starvedEvery
	}
	return needed && now.Sub(w.at) >= time.Duration(stretch*float64(every))
}

// WatchLoad returns a LoadWatch that is kept up to date until ctx ends. It receives what
// other processes broadcast, and asks only while needed returns true, or when prompted.
func (q *Queue) WatchLoad(ctx context.Context, gossip broadcaster, needed func() bool) (*LoadWatch, error) {
	w := &LoadWatch{}
	if err := gossip.Listen(ctx, topicLoad, w.receive); err != nil {
		return nil, err
	}
	go q.watchLoad(ctx, w, gossip, needed)
	return w, nil
}

func (q *Queue) watchLoad(ctx context.Context, w *LoadWatch, gossip broadcaster, needed func() bool) {
	tick := time.NewTicker(settleIn)
	defer tick.Stop()
	for stretch := 1.0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !w.due(time.Now(), needed(), stretch) {
			continue
		}
		stretch = 1 + spread*rand.Float64()
		if err := q.broadcastLoad(ctx, gossip); err != nil && ctx.Err() == nil {
			q.conn.CountRetry("read")
			q.conn.Log().DebugContext(ctx, "look at the work queue", "err", err)
			_ = natsconn.Jitter(ctx, natsconn.LastWait) // the loop checks ctx
		}
	}
}

// broadcastLoad asks for the load and sends it to all processes, this one included.
func (q *Queue) broadcastLoad(ctx context.Context, gossip broadcaster) error {
	return q.conn.Attempt(ctx, natsconn.AttemptTimeout, func(ctx context.Context) error {
		l, err := q.laneLoad(ctx)
		if err != nil {
			return err
		}
		return gossip.Broadcast(topicLoad, l)
	})
}
