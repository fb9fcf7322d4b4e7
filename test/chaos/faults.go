package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// toEnd is how long a process may take to end after SIGTERM: 10 seconds for running requests,
// and more because the machine is busy.
const toEnd = 30 * time.Second

// kill kills a process, or all NATS servers.
func kill(ctx context.Context, w *world, f fault) error {
	targets := []string{f.target}
	if f.target == "all" {
		targets = ofNATS(w.plan)
	}
	for _, name := range targets {
		w.procs[name].kill()
	}
	pause(ctx, f.dur)
	for _, name := range targets {
		w.procs[name].start()
	}
	return nil
}

func killLeader(ctx context.Context, w *world, f fault) error {
	streams := []string{"WORK", "COVERS", "KV_imports", "KV_leases", "KV_catalog"}
	leader, err := w.leader(ctx, streams[f.detail%uint64(len(streams))])
	if err != nil {
		return err
	}
	f.target = leader
	return kill(ctx, w, f)
}

// killHalf kills half of the workers three times. In longer imports that would be every 20
// seconds.
func killHalf(ctx context.Context, w *world, f fault) error {
	all := ofWorkers(w.plan)
	for round := range uint64(3) {
		var half []*process
		for i := range (len(all) + 1) / 2 {
			half = append(half, w.procs[all[(f.detail+round+uint64(i))%uint64(len(all))]])
		}
		for _, p := range half {
			p.kill()
		}
		for _, p := range half {
			p.start()
		}
		if !pause(ctx, f.dur/3) {
			break
		}
	}
	return nil
}

func freeze(ctx context.Context, w *world, f fault) error {
	p := w.procs[f.target]
	p.signal(syscall.SIGSTOP)
	pause(ctx, f.dur)
	p.signal(syscall.SIGCONT)
	return nil
}

func term(ctx context.Context, w *world, f fault) error {
	p := w.procs[f.target]
	if !p.stop(syscall.SIGTERM, toEnd) {
		w.violate("%s had not ended %v after SIGTERM", f.target, toEnd)
	}
	pause(ctx, f.dur)
	p.start()
	return nil
}

// jump restarts a process. Its wall clock jumps by an hour a second later, and jumps back at
// the end of the fault.
func jump(ctx context.Context, w *world, f fault) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("read the monotonic clock: %w", err)
	}
	by := 3600
	if f.detail%2 == 0 {
		by = -by
	}
	w.mu.Lock()
	w.jumps[f.target] = fmt.Sprintf("%d:%d:%d", now.Nano()/1e6+1500, f.dur.Milliseconds(), by)
	w.mu.Unlock()
	p := w.procs[f.target]
	p.kill()
	p.start()
	pause(ctx, f.dur+2*time.Second)
	return nil
}

func diskFull(ctx context.Context, w *world, f fault) (err error) {
	disks := w.disksOf(f.target)
	for _, i := range disks {
		if err = w.disks[i].fill(); err != nil {
			return err
		}
	}
	pause(ctx, f.dur)
	for _, i := range disks {
		if err := w.disks[i].empty(); err != nil {
			return err
		}
		if w.plan.layout == embedded {
			continue // a coordinator with an embedded server ends by itself
		}
		// A stream that met a full disk stays unusable until its server is restarted, as
		// a supervisor would do.
		p := w.procs[fmt.Sprintf("nats-%d", i)]
		p.kill()
		p.start()
	}
	return nil
}

func (w *world) disksOf(target string) (all []int) {
	for i := range w.disks {
		if target == "all" || target == fmt.Sprintf("nats-%d", i) || w.plan.layout == embedded {
			all = append(all, i)
		}
	}
	return all
}

func powerCut(ctx context.Context, w *world, f fault) error {
	disks := w.disksOf(f.target)
	procs := make([]*process, len(disks))
	for n, i := range disks {
		procs[n] = w.procs[fmt.Sprintf("nats-%d", i)]
		procs[n].signal(syscall.SIGSTOP)
	}
	for _, i := range disks {
		if err := w.disks[i].copyImage(); err != nil {
			return err
		}
	}
	for n, i := range disks {
		procs[n].kill()
		if err := w.disks[i].cut(); err != nil {
			return err
		}
	}
	pause(ctx, f.dur)
	for _, p := range procs {
		p.start()
	}
	return nil
}

// diskHang blocks the writes of disks. Their servers go on, and answer requests that need no
// disk.
func diskHang(ctx context.Context, w *world, f fault) (err error) {
	for _, i := range w.disksOf(f.target) {
		if err = w.disks[i].hang(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.disks[i].resume()) }()
	}
	pause(ctx, f.dur)
	return nil
}

// diskError makes a disk fail, and then restarts its server on the content of the disk.
func diskError(ctx context.Context, w *world, f fault) error {
	for _, i := range w.disksOf(f.target) {
		if err := w.disks[i].fail(); err != nil {
			return err
		}
		pause(ctx, f.dur)
		p := w.procs[f.target]
		p.kill()
		if err := w.disks[i].remount(); err != nil {
			return err
		}
		p.start()
	}
	return nil
}

// rollNATS changes the settings of the NATS servers by a rolling restart.
func rollNATS(ctx context.Context, w *world, f fault) error {
	begun := time.Now()
	for i, name := range ofNATS(w.plan) {
		w.mu.Lock()
		w.other[name] = !w.other[name]
		w.mu.Unlock()
		p := w.procs[name]
		if !p.stop(syscall.SIGTERM, toEnd) {
			w.violate("%s had not ended %v after SIGTERM", name, toEnd)
		}
		p.start()
		pause(ctx, time.Duration(i+1)*f.dur/natsServers-time.Since(begun))
	}
	return nil
}

// secondServer starts a coordinator on the store directory of a running one. It must end with
// an error: two servers on one directory lose messages.
func secondServer(ctx context.Context, w *world, _ fault) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.programs, "coordinator"))
	cmd.Env = []string{
		"HOME=" + w.dir, "RANGEFLEET_LISTEN=" + freeAddress(), "RANGEFLEET_WORKERS=0", "RANGEFLEET_NATS_LISTEN=" + freeAddress(), "RANGEFLEET_NATS_INSECURE=true",
		"RANGEFLEET_NATS_STORE_DIR=" + w.embeddedStore(),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil: // the first coordinator had just died at a point
		w.note("the second server was alone on the store directory")
	case err == nil || !strings.Contains(string(out), "in use"):
		w.violate("a second NATS server on one store directory ended with %v: %s", err, out)
	}
	return nil
}

// injectAll injects each fault of the plan at its time, and returns when the last one has
// ended.
func (w *world) injectAll(ctx context.Context) {
	begun := time.Now()
	ended := make(chan struct{})
	n := 0
	for _, f := range w.plan.faults {
		if f.kind.inject == nil {
			continue
		}
		n++
		go func() {
			defer func() { ended <- struct{}{} }()
			if !pause(ctx, f.at-time.Since(begun)) {
				return
			}
			w.note("%s %s for %v", f.kind.name, f.target, f.dur.Round(tenth))
			if err := f.kind.inject(ctx, w, f); err != nil {
				w.note("%s %s could not be injected: %v", f.kind.name, f.target, err)
			} else {
				w.note("%s %s is over", f.kind.name, f.target)
			}
		}()
	}
	for range n {
		<-ended
	}
}
