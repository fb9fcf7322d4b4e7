package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
)

// bench collects rows.
type bench struct {
	options
	dir  string
	log  io.Writer // shows results as they come
	rows []Row
}

// all measures a flood of each kind of guesses.
func (b *bench) all(ctx context.Context) error {
	f, err := fleet.Start(ctx, fleet.Config{Dir: b.dir, Alone: true})
	if err != nil {
		return err
	}
	defer f.Close()
	for _, kind := range slices.Sorted(maps.Keys(guesses)) {
		if err := b.row(ctx, f.Coordinators[0], kind); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

// row lets polite clients ask by turns without a flood and beside one.
func (b *bench) row(ctx context.Context, c *fleet.Process, kind string) error {
	row := Row{Name: kind}
	for range b.rounds {
		var r Round
		var err error
		if r.Quiet, err = b.side(ctx, c); err != nil {
			return err
		}
		if r.Flooded, err = b.flooded(ctx, c, kind); err != nil {
			return err
		}
		fmt.Fprintf(b.log, "%s: %.0f a second, p99 %v alone, %v beside them\n", kind, r.Flooded.Guesses/r.Flooded.Wall.Seconds(), r.Quiet.P99, r.Flooded.P99)
		row.Rounds = append(row.Rounds, r)
	}
	b.rows = append(b.rows, row)
	return nil
}

// flooded is side beside a flood.
func (b *bench) flooded(ctx context.Context, c *fleet.Process, kind string) (s Side, err error) {
	flood, err := fleet.Launch(ctx, b.dir, floodProgram, nil, []string{floodCommand, c.URL, kind})
	if err != nil {
		return s, err
	}
	defer flood.Kill()
	before, err := failures(ctx, c)
	if err != nil {
		return s, err
	}
	if s, err = b.side(ctx, c); err != nil {
		return s, err
	}
	after, err := failures(ctx, c)
	if s.Guesses = after - before; err == nil && s.Guesses == 0 {
		err = errors.New("nothing was guessed: " + flood.Tail())
	}
	return s, err
}

// failures returns how many logins have failed.
func failures(ctx context.Context, c *fleet.Process) (float64, error) {
	return c.Metric(ctx, "rangefleet_http_failed_logins_total")
}

// every is the time between two requests of a polite client.
const every = 50 * time.Millisecond

// settle is how long polite clients ask before their answers count. A flood opens its connections
// meanwhile, and takes what an address may guess at once.
const settle = time.Second

// side lets polite clients ask for one round.
func (b *bench) side(ctx context.Context, c *fleet.Process) (s Side, err error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, settle+b.round)
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var clients sync.WaitGroup
	for range b.clients {
		clients.Go(func() {
			each, failed := poll(ctx, c.URL, begun.Add(settle))
			mu.Lock()
			defer mu.Unlock()
			took = append(took, each...)
			err = errors.Join(err, failed)
		})
	}
	clients.Wait()
	if err == nil && len(took) == 0 {
		err = errors.New("no polite client was answered")
	}
	if err != nil {
		return s, err
	}
	slices.Sort(took)
	s.Wall = time.Since(begun)
	s.Asked, s.P50, s.P99 = len(took), took[len(took)/2], took[len(took)*99/100]
	usage, err := c.Usage()
	s.Peak = usage.Peak
	return s, err
}

// poll asks who the client is until ctx ends, and returns how long each answer took to a request
// that was sent after a time.
func poll(ctx context.Context, target string, after time.Time) (took []time.Duration, err error) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return took, nil
		case <-tick.C:
		}
		begun := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target+"/api/v1/user", http.NoBody)
		if err != nil {
			return took, err
		}
		req.SetBasicAuth(fleet.AccessKey, fleet.SecretKey)
		resp, err := client.Do(req)
		if ctx.Err() != nil {
			return took, nil
		}
		if err != nil {
			return took, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("a polite client is answered %s", resp.Status)
		}
		if err != nil && ctx.Err() == nil {
			return took, err
		}
		if begun.After(after) {
			took = append(took, time.Since(begun))
		}
	}
}
