// Package pace is the rate limit of a fleet towards a store. The processes that list share
// a bound on the LIST calls that all have in flight together. When the store throttles one
// of them, the others slow down before they are throttled themselves.
//
// It works by gossip, and stores nothing: a process that lists broadcasts so every few
// seconds, and at once when it starts, stops, or is throttled. A lost message is made up for
// by the next one. Until the processes have received each other's messages they may be
// too fast together, and one that died counts for a while.
package pace

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// Limiter is what a process's LIST calls to the store go through. Its methods may
// be called concurrently.
type Limiter interface {
	Active() bool   // whether anything is listed
	Throttles() int // how often the limit was cut because the store throttled this process
	Cut()           // cuts the limit because the store throttled another process
	Most() int      // the bound of the limit
	SetMost(n int)  // bounds the limit
}

// Gossip carries messages between processes, without a promise that any arrives. What one
// process broadcasts on a topic reaches all that listen to it then; whether it reaches the
// process itself is left open.
type Gossip interface {
	Broadcast(topic string, message any) error // as JSON
	Listen(ctx context.Context, topic string, f func(data []byte)) error
}

// Config is what Run works with. All fields are required.
type Config struct {
	Gossip     Gossip
	Limiter    Limiter
	Store      string // names the store; messages bear a hash of it
	Fleet      int    // LIST calls that all processes have in flight together at most; 0: no bound
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// lookEvery is how often a process looks at its limiter.
const lookEvery = 100 * time.Millisecond

// Run keeps the limiter to the fleet's pace until ctx ends. The bound that the
// limiter has is this process's own, and never exceeded.
func Run(ctx context.Context, cfg Config) error {
	p := &process{cfg: cfg, metrics: newMetrics(cfg.Registerer), state: newState(rand.Text(), cfg.Fleet, cfg.Limiter.Most())}
	topic := fmt.Sprintf("store.%x", sha256.Sum256([]byte(cfg.Store)))
	if err := cfg.Gossip.Listen(ctx, topic, p.receive); err != nil {
		return fmt.Errorf("keep pace: %w", err)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if m, ok := p.look(); ok {
				p.broadcast(topic, m)
			}
		}
	}
}

// process is one process among others.
type process struct {
	cfg     Config
	metrics *metrics

	mu    sync.Mutex
	state *state
}

func (p *process) receive(data []byte) {
	var m message
	if json.Unmarshal(data, &m) != nil {
		return // of another version, perhaps
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.receive(time.Now(), m) {
		p.metrics.received.Inc()
		p.cfg.Limiter.Cut()
	}
}

// look brings the state and the limiter up to date, and returns a message if there is one
// to broadcast.
func (p *process) look() (message, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	m, ok := p.state.look(now, p.cfg.Limiter.Active(), p.cfg.Limiter.Throttles())
	share := p.state.share(now)
	p.cfg.Limiter.SetMost(share)
	p.metrics.share.Set(float64(share))
	return m, ok
}

func (p *process) broadcast(topic string, m message) {
	if err := p.cfg.Gossip.Broadcast(topic, m); err != nil {
		p.cfg.Log.Debug("broadcast the pace in a store", "err", err)
	} else if m.Throttled {
		p.metrics.broadcast.Inc()
	}
}

type metrics struct {
	broadcast, received prometheus.Counter
	share               prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := metric.With(reg).In("pace")
	return &metrics{
		broadcast: f.Counter("throttles_broadcast_total", "Messages of this process to the others that the store has throttled it."),
		received:  f.Counter("throttles_received_total", "Messages from other processes that the store has throttled them, while this process listed."),
		share:     f.Gauge("lists_most", "LIST calls that this process may have in flight, as its share of the fleet's bound."),
	}
}
