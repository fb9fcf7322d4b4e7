package main

import (
	"context"
	"time"

	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/test/chaos/proxy"
)

// hold sets the state of links for the time of the fault. Afterwards they pass everything on.
// Held bytes then arrive late, or are lost with their connections if lost is set.
func hold(ctx context.Context, f fault, links []*proxy.Link, s proxy.State, lost bool) error {
	for _, l := range links {
		l.Set(s)
		if s.Refuse {
			l.Reset()
		}
	}
	pause(ctx, f.dur)
	for _, l := range links {
		if lost {
			l.Reset()
		}
		l.Set(proxy.State{})
	}
	return nil
}

func odd(f fault) bool { return f.detail%2 == 1 }

func natsCut(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.links[f.target], proxy.State{Refuse: true}, false)
}

func natsBlackhole(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.links[f.target], proxy.State{HoldIn: true, HoldOut: true}, odd(f))
}

func natsDeaf(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.links[f.target], proxy.State{HoldOut: true}, true)
}

func natsLate(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.links[f.target], proxy.State{HoldIn: true}, false)
}

func natsTrickle(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.links[f.target], proxy.State{Rate: 1}, odd(f))
}

func natsDelay(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.links[f.target], proxy.State{Delay: 200 * time.Millisecond}, false)
}

// isolate cuts a NATS server off from the others, in both directions or in one.
func isolate(ctx context.Context, w *world, f fault) error {
	var from, to []*proxy.Link
	for i := range natsServers {
		for j := range natsServers {
			switch {
			case i == j:
			case f.target == names("nats", natsServers)[i]:
				from = append(from, w.routes[i][j])
			case f.target == names("nats", natsServers)[j]:
				to = append(to, w.routes[i][j])
			}
		}
	}
	in, out := f.detail%3 != 1, f.detail%3 != 2 // directions from the server, and to it
	for _, l := range to {
		l.Set(proxy.State{HoldIn: out, HoldOut: in})
	}
	err := hold(ctx, f, from, proxy.State{HoldIn: in, HoldOut: out}, f.detail>>8%2 == 1)
	for _, l := range to {
		if f.detail>>8%2 == 1 {
			l.Reset()
		}
		l.Set(proxy.State{})
	}
	return err
}

func (w *world) s3Of(target string) []*proxy.Link {
	if target != "all" {
		return []*proxy.Link{w.s3Links[target]}
	}
	var all []*proxy.Link
	for _, l := range w.s3Links {
		all = append(all, l)
	}
	return all
}

func s3Blackhole(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.s3Of(f.target), proxy.State{HoldIn: true, HoldOut: true}, odd(f))
}

func s3Refuse(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.s3Of(f.target), proxy.State{Refuse: true}, false)
}

func s3Trickle(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.s3Of(f.target), proxy.State{Rate: 1}, odd(f))
}

func s3LostAnswer(ctx context.Context, w *world, f fault) error {
	return hold(ctx, f, w.s3Of(f.target), proxy.State{HoldOut: true}, true)
}

// spoil lets S3 inject faults for the time of the fault.
func (w *world) spoil(ctx context.Context, f fault, s synths3.Faults) error {
	s.Seed = f.detail
	if err := w.s3.objects.SetFaults(s); err != nil {
		return err
	}
	pause(ctx, f.dur)
	return w.s3.objects.SetFaults(synths3.Faults{})
}

func s3Errors(ctx context.Context, w *world, f fault) error {
	call := synths3.Call{SlowDown: 0.15, Reset: 0.1, Cut: 0.1}
	return w.spoil(ctx, f, synths3.Faults{List: call, Objects: call})
}

func s3Throttle(ctx context.Context, w *world, f fault) error {
	return w.spoil(ctx, f, synths3.Faults{List: synths3.Call{MaxRate: 8}, Objects: synths3.Call{MaxRate: 20}})
}

func s3Slow(ctx context.Context, w *world, f fault) error {
	call := synths3.Call{Latency: synths3.Latency{
		Base: synths3.Duration{Duration: 300 * time.Millisecond}, Tail: 0.1, TailMean: synths3.Duration{Duration: 2 * time.Second},
	}}
	return w.spoil(ctx, f, synths3.Faults{List: call, Objects: call})
}

func s3Quirks(ctx context.Context, w *world, f fault) error {
	return w.spoil(ctx, f, synths3.Faults{
		Quirks: []synths3.Quirk{synths3.ShortPages, synths3.EndsEarly, synths3.NoKeyCount, synths3.WrongKeyCount}, QuirkShare: 0.5,
	})
}

// s3Flip makes S3 return complete files with a flipped bit.
func s3Flip(ctx context.Context, w *world, f fault) error {
	w.s3.flip.Store(300)
	defer w.s3.flip.Store(0)
	pause(ctx, f.dur)
	return nil
}

// s3Stale makes S3 return pages of the past bucket while the live bucket changes.
func s3Stale(ctx context.Context, w *world, f fault) error {
	w.s3.stale.Store(400)
	defer w.s3.stale.Store(0)
	return churn(ctx, w, f)
}
