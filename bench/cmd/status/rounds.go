package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/pkg/api"
)

// bench collects rows.
type bench struct {
	options
	dir  string
	log  io.Writer // shows results as they come
	rows []Row
}

// all measures the status of an import that has ended, and of one that goes on.
func (b *bench) all(ctx context.Context) error {
	f, err := fleet.Start(ctx, fleet.Config{Dir: b.dir, Alone: true, Keep: 1 << 30, Env: []string{"RANGEFLEET_S3_MAX_LISTS=4"}})
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Repository(ctx, "polled"); err != nil {
		return err
	}
	done, err := f.Begin(ctx, 0, "polled", "main", "hive-1000", "done")
	if err == nil {
		_, err = done.Wait(ctx, time.Minute, 0, nil)
	}
	if err == nil {
		err = b.row(ctx, f, "of an import that has ended", done)
	}
	if err != nil {
		return err
	}
	// LISTs that take long leave the cores to the answers.
	slow := synths3.Faults{List: synths3.Call{Latency: synths3.Latency{Base: synths3.Duration{Duration: 2 * time.Second}}}}
	if err := f.Control(ctx, http.MethodPut, "faults", slow, nil); err != nil {
		return err
	}
	running, err := f.Begin(ctx, 0, "polled", "main", "hive-1g", "running")
	if err == nil {
		_, err = running.Wait(ctx, time.Minute, 0, func(st api.ImportStatusResp) bool { return st.Partitions > 0 })
	}
	if err == nil {
		err = b.row(ctx, f, "of an import that goes on", running)
	}
	if err != nil {
		return err
	}
	st, err := running.Status(ctx)
	if err == nil && st.Phase != api.Running {
		err = fmt.Errorf("the import is %s", st.Phase)
	}
	return err
}

// row asks both servers by turns.
func (b *bench) row(ctx context.Context, f *fleet.Fleet, name string, i fleet.Import) (err error) {
	path := fmt.Sprintf("/api/v1/repositories/%s/branches/%s/import?id=%s", i.Repository, i.Branch, url.QueryEscape(i.ID))
	bare, err := b.startBare(ctx, f.Coordinators[0].URL+path)
	if err != nil {
		return err
	}
	defer bare.Kill()
	row := Row{Name: name}
	ours, err := b.gather(ctx, f.Coordinators[0], path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	theirs, err := b.gather(ctx, bare, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	for range b.rounds {
		var r Round
		if r.Bare, err = b.side(bare, theirs); err != nil {
			return fmt.Errorf("ask the bare handler: %w", err)
		}
		if r.Coordinator, err = b.side(f.Coordinators[0], ours); err != nil {
			return fmt.Errorf("ask the coordinator: %w", err)
		}
		fmt.Fprintf(b.log, "status %s: bare %.0f/s, coordinator %.0f/s\n", name, r.Bare.Rate(), r.Coordinator.Rate())
		row.Rounds = append(row.Rounds, r)
	}
	b.rows = append(b.rows, row)
	return nil
}

// side lets a crowd ask a server for one round.
func (b *bench) side(server *fleet.Process, c crowd) (s Side, err error) {
	before, err := server.Usage()
	if err != nil {
		return s, err
	}
	if s.Tally, err = c.ask(b.round); err != nil {
		return s, err
	}
	after, err := server.Usage()
	s.Usage = measure.Usage{CPU: after.CPU - before.CPU, Peak: after.Peak}
	return s, err
}

// startBare starts the bare handler. It answers what a URL of the coordinator answers now.
func (b *bench) startBare(ctx context.Context, answer string) (*fleet.Process, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, answer, nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(fleet.AccessKey, fleet.SecretKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the coordinator answers %s: %s", resp.Status, body)
	}
	file := filepath.Join(b.dir, "answer.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return nil, err
	}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	p, err := fleet.Launch(ctx, b.dir, bareProgram, nil, []string{bareCommand, address, file})
	if err != nil {
		return nil, err
	}
	p.URL = "http://" + address
	return p, p.Ready(ctx, "/_ready")
}

// gather opens the connections of all clients to a server.
func (b *bench) gather(ctx context.Context, server *fleet.Process, path string) (crowd, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(fleet.AccessKey, fleet.SecretKey)
	var text bytes.Buffer
	if err := req.Write(&text); err != nil {
		return nil, err
	}
	return gather(ctx, req.URL.Host, b.clients, text.Bytes())
}
