package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/imports"
)

// maxHeard is the most messages that are kept for publishing them again.
const maxHeard = 20_000

// connect returns a direct connection to NATS, and subscribes to partitions and covers.
func (w *world) connect() (*nats.Conn, error) {
	login := nats.Option(func(*nats.Options) error { return nil })
	if w.key != nil {
		var err error
		if login, err = nats.NkeyOptionFromSeed(w.key.file); err != nil {
			return nil, fmt.Errorf("connect to NATS: %w", err)
		}
	}
	nc, err := nats.Connect("nats://"+strings.Join(w.nats, ",nats://"), login,
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(tenth), nats.PingInterval(2*time.Second))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	for _, subject := range []string{"w.>", "c.>"} {
		if _, err := nc.Subscribe(subject, w.hear); err != nil {
			return nil, fmt.Errorf("listen to %s: %w", subject, err)
		}
	}
	return nc, nil
}

// clustered waits until the NATS servers have found each other.
func (w *world) clustered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.plan.form.patience)
	defer cancel()
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := w.js.CreateStream(try, jetstream.StreamConfig{Name: "PROBE", Subjects: []string{"probe"}, Replicas: natsServers})
		cancel()
		if err == nil {
			return w.js.DeleteStream(ctx, "PROBE")
		}
		if !pause(ctx, 2*tenth) {
			return fmt.Errorf("wait for the NATS cluster: %w", err)
		}
	}
}

func (w *world) hear(m *nats.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.heard) < maxHeard && m.Header.Get("Chaos") == "" {
		w.heard = append(w.heard, m)
	}
}

// duplicate publishes random earlier messages again, like a client whose first try arrives
// late.
func duplicate(ctx context.Context, w *world, f fault) error {
	rnd := rand.New(rand.NewPCG(f.detail, 0))
	ctx, cancel := context.WithTimeout(ctx, f.dur)
	defer cancel()
	for pause(ctx, 20*time.Millisecond) {
		w.mu.Lock()
		var m *nats.Msg
		if len(w.heard) > 0 {
			m = w.heard[rnd.IntN(len(w.heard))]
		}
		w.mu.Unlock()
		if m == nil {
			continue
		}
		again := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{"Chaos": {"again"}}}
		maps.Copy(again.Header, m.Header)
		if err := w.nc.PublishMsg(again); err != nil && !errors.Is(err, nats.ErrReconnectBufExceeded) {
			return fmt.Errorf("publish %s again: %w", m.Subject, err)
		}
	}
	return nil
}

// lose deletes random partitions, queued and running, and covers: NATS loses messages that it
// has acknowledged.
func lose(ctx context.Context, w *world, f fault) error {
	rnd := rand.New(rand.NewPCG(f.detail, 2))
	ctx, cancel := context.WithTimeout(ctx, f.dur)
	defer cancel()
	for pause(ctx, 300*time.Millisecond) {
		name := []string{"WORK", "COVERS"}[rnd.IntN(2)]
		s, err := w.js.Stream(ctx, name)
		if err != nil {
			continue // the stream has no leader
		}
		state := s.CachedInfo().State
		if state.Msgs == 0 {
			continue
		}
		for range 1 + state.Msgs/4 {
			_ = s.DeleteMsg(ctx, state.FirstSeq+rnd.Uint64N(1+state.LastSeq-state.FirstSeq)) // there may be no such message
		}
	}
	return nil
}

// leader returns the name of the NATS server that leads a stream.
func (w *world) leader(ctx context.Context, stream string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := w.js.Stream(ctx, stream)
	if err != nil {
		return "", fmt.Errorf("look for the leader of %s: %w", stream, err)
	}
	if c := s.CachedInfo().Cluster; c != nil && c.Leader != "" {
		return c.Leader, nil
	}
	return "", fmt.Errorf("stream %s has no leader", stream)
}

// stepdown asks the leaders of all streams, and of the consumers of WORK, to step down.
func stepdown(ctx context.Context, w *world, f fault) error {
	ctx, cancel := context.WithTimeout(ctx, f.dur)
	defer cancel()
	for pause(ctx, 700*time.Millisecond) {
		for name := range w.js.StreamNames(ctx).Name() {
			_ = w.nc.Publish("$JS.API.STREAM.LEADER.STEPDOWN."+name, nil) // the stream may have no leader
		}
		work, err := w.js.Stream(ctx, "WORK")
		if err != nil {
			continue // a leader is being elected
		}
		for name := range work.ConsumerNames(ctx).Name() {
			_ = w.nc.Publish("$JS.API.CONSUMER.LEADER.STEPDOWN.WORK."+name, nil)
		}
	}
	return nil
}

// subjects returns the number of messages of each subject of a stream that matches the filter.
func subjects(ctx context.Context, js jetstream.JetStream, name, filter string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", name, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", name, err)
	}
	return info.State.Subjects, nil
}

// records returns the records of all imports to the repository.
func records(ctx context.Context, js jetstream.JetStream) ([]imports.Record, error) {
	counts, err := subjects(ctx, js, "KV_imports", "$KV.imports.i.>")
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, "KV_imports")
	if err != nil {
		return nil, fmt.Errorf("read imports: %w", err)
	}
	var all []imports.Record
	for subject := range counts {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", subject, err)
		}
		if m.Header.Get("KV-Operation") != "" {
			continue // deleted
		}
		var r imports.Record
		if err := json.Unmarshal(m.Data, &r); err != nil {
			return nil, fmt.Errorf("decode %s: %w", subject, err)
		}
		if r.Request.Repository == repository {
			all = append(all, r)
		}
	}
	return all, nil
}
