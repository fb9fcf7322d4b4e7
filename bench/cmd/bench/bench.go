package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	processes "github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/bench/stage"
	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/process"
)

// Row is the result of one measurement.
type Row struct {
	Plan
	measure.Usage
	measure.Counts
	Lists       int64  `json:"lists,omitempty"`     // LIST calls
	MinLists    int64  `json:"min_lists,omitempty"` // LIST calls that any listing needs
	Retries     int64  `json:"retries,omitempty"`   // retries of calls of any kind by the SDK
	InFlight    int64  `json:"in_flight,omitempty"` // most LIST calls at the same time
	Ranges      int    `json:"ranges,omitempty"`
	MetarangeID string `json:"metarange_id,omitempty"`
}

// CPUPerMillion returns CPU-seconds per million objects.
func (r Row) CPUPerMillion() float64 { return r.CPU.Seconds() * 1e6 / float64(r.Objects) }

// bench holds the programs and the server that measurements use.
type bench struct {
	options
	dir      string
	server   *exec.Cmd
	endpoint string
	perf     measure.Perf
	fleet    *fleet
}

// newBench builds the programs into dir and starts the server.
func newBench(ctx context.Context, o options, dir string) (*bench, error) {
	b := &bench{options: o, dir: dir, perf: measure.NewPerf(ctx)}
	programs := map[string]string{"synths3": ".", "stage": ".", "worker": ".."}
	for name, module := range programs {
		if err := processes.Compile(ctx, dir, module, "./cmd/"+name, name); err != nil {
			return nil, err
		}
	}
	if o.lakefs {
		if err := processes.Compile(ctx, dir, "baseline", ".", "baseline"); err != nil {
			return nil, err
		}
	}
	// The server keeps little of what workers write, since nothing reads it.
	b.server = b.command(ctx, "synths3", "-listen", "127.0.0.1:0", "-buckets", "ns", "-keep", "1048576")
	out, err := b.server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.server.Start(); err != nil {
		return nil, fmt.Errorf("start the synthetic S3: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("read the address of the synthetic S3: %w", err)
	}
	b.endpoint = strings.TrimSpace(line)
	if b.fleet, err = newFleet(ctx, filepath.Join(dir, "nats"), b.endpoint); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// command returns a command that runs one of the programs and dies with this process.
func (b *bench) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(b.dir, name), args...)
	process.DieWithParent(cmd)
	cmd.Stderr = os.Stderr
	return cmd
}

func (b *bench) close() {
	if b.fleet != nil {
		b.fleet.close()
	}
	_ = b.server.Process.Kill()
	_ = b.server.Wait() // the signal ended it
}

// measure measures a row.
func (b *bench) measure(ctx context.Context, p Plan) (Row, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if err := b.control(ctx, http.MethodPut, "faults", p.faults, nil); err != nil {
		return Row{}, err
	}
	if err := b.control(ctx, http.MethodDelete, "counters", nil, nil); err != nil {
		return Row{}, err
	}
	row := Row{Plan: p}
	var err error
	switch p.By {
	case byWorker:
		err = b.worker(ctx, &row)
	case byLakeFS:
		err = b.child(ctx, &row, "baseline", "-endpoint", b.endpoint, "-source", "s3://"+p.Bucket+"/")
	default:
		err = b.child(ctx, &row, "stage", "-stage", p.stage, "-bucket", p.Bucket, "-endpoint", b.endpoint,
			"-pages", fmt.Sprint(p.Objects/stage.PageKeys))
		row.Peak = 0 // it is mostly the input
	}
	if err != nil {
		return Row{}, err
	}
	var c synths3.Counters
	if err := b.control(ctx, http.MethodGet, "counters", nil, &c); err != nil {
		return Row{}, err
	}
	if p.By != byStage {
		row.Lists, row.Retries, row.InFlight = c.Calls["list"], c.Retries, c.MaxInFlight
		row.MinLists = max(1, (p.Objects+stage.PageKeys-1)/stage.PageKeys)
	}
	return row, nil
}

// control reads or changes the faults and counters of the server.
func (b *bench) control(ctx context.Context, method, what string, send, receive any) error {
	var body io.Reader
	if send != nil {
		text, err := json.Marshal(send)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, b.endpoint+"/_synths3/"+what, body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s of the synthetic S3: %w", method, what, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status + ": " + string(text))
	}
	if err == nil && receive != nil {
		err = json.Unmarshal(text, receive)
	}
	if err != nil {
		return fmt.Errorf("%s %s of the synthetic S3: %w", method, what, err)
	}
	return nil
}

// child measures a program that follows the protocol of measure.Child.
func (b *bench) child(ctx context.Context, row *Row, name string, args ...string) error {
	objects := row.Objects
	cmd := b.command(ctx, name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	lines := bufio.NewReader(out)
	_, err = lines.ReadString('\n') // "ready"
	if err != nil {
		return errors.Join(fmt.Errorf("wait until %s is ready: %w", name, err), cmd.Wait())
	}
	stop, err := b.perf.Attach(ctx, cmd.Process.Pid)
	if err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	fmt.Fprintln(in, "go")
	text, err := lines.ReadBytes('\n')
	row.Counts = stop()
	if err == nil {
		err = json.Unmarshal(text, row)
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	if row.Objects != objects {
		return fmt.Errorf("%s found %d objects, want %d", name, row.Objects, objects)
	}
	return nil
}
