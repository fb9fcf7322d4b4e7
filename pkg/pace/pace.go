// Package pace keeps the processes of a fleet to a common pace in one store. What
// a store throttles in one process slows the others down too, before they are
// told the same; and a bound on the LIST calls of the whole fleet is shared by
// those that list.
//
// Processes talk, and nothing is stored: each that lists says so now and then, and
// at once when it starts, stops, or is throttled. What is lost is said again. For
// as long as it takes to hear of each other they may be too fast together, and
// one that died counts for a while.
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
	Active() bool  // whether anything is listed
	Cuts() int     // how often the store throttled this process so that it cut its limit
	Cut()          // cuts the limit because the store throttled somebody else
	Most() int     // the bound of the limit
	SetMost(n int) // bounds the limit
}

// Gossip is how processes reach each other: what one broadcasts, all that listen
// receive, itself included, unless it is lost.
type Gossip interface {
	Broadcast(topic string, data []byte) error
	Listen(ctx context.Context, topic string, f func(data []byte)) error
}

// Config is what Run works with. All fields are required.
type Config struct {
	Gossip     Gossip
	Limiter    Limiter
	Store      string // names the store; only a hash of it is told
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
	if err := cfg.Gossip.Listen(ctx, topic, p.hear); err != nil {
		return fmt.Errorf("keep pace: %w", err)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if word, ok := p.look(); ok {
				p.tell(topic, word)
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

func (p *process) hear(data []byte) {
	var w word
	if json.Unmarshal(data, &w) != nil {
		return // of another version, perhaps
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.hear(time.Now(), w) {
		p.metrics.heard.Inc()
		p.cfg.Limiter.Cut()
	}
}

func (p *process) look() (word, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	w, ok := p.state.look(now, p.cfg.Limiter.Active(), p.cfg.Limiter.Cuts())
	share := p.state.share(now)
	p.cfg.Limiter.SetMost(share)
	p.metrics.share.Set(float64(share))
	return w, ok
}

func (p *process) tell(topic string, w word) {
	data, err := json.Marshal(w)
	if err == nil {
		err = p.cfg.Gossip.Broadcast(topic, data)
	}
	if err != nil {
		p.cfg.Log.Debug("tell others of a store", "err", err)
	} else if w.Throttled {
		p.metrics.told.Inc()
	}
}

type metrics struct {
	told, heard prometheus.Counter
	share       prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := metric.With(reg).In("pace")
	return &metrics{
		told:  f.Counter("throttles_told_total", "Times that this process told the others that the store throttled it."),
		heard: f.Counter("throttles_heard_total", "Times that this process heard from another one that the store throttled it."),
		share: f.Gauge("lists_most", "LIST calls that this process may have in flight, as its share of the fleet's bound."),
	}
}
