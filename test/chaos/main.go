// Command chaos runs whole fleets, injects faults into everything around them, and checks that
// all imports are right. docs/chaos.md describes the faults and the checks.
//
//	chaos -short          one run of each layout, and the controls; minutes
//	chaos -seeds 100      a hundred long runs
//	chaos -seed 17        run 17 again
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rangefleet/rangefleet/internal/canary"
	"github.com/rangefleet/rangefleet/test/chaos/overlay"
)

func main() {
	if nodeMain() {
		return
	}
	if again, code := ownMounts(); again {
		os.Exit(code)
	}
	canary.Watch()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// mountsVariable is set in a process that has a mount namespace of its own.
const mountsVariable = "CHAOS_OWN_MOUNTS"

// ownMounts runs this program again in a mount namespace of its own, so that its mounts end
// with it. It does nothing if this process may not do that.
func ownMounts() (ran bool, code int) {
	if os.Getenv(mountsVariable) != "" || os.Geteuid() != 0 {
		return false, 0
	}
	cmd := exec.CommandContext(context.Background(), "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), mountsVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	runtime.LockOSThread() // the child dies with the thread that started it
	if err := cmd.Start(); err != nil {
		return false, 0
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it may have ended
		}
	}()
	_ = cmd.Wait() // the exit code is returned
	return true, cmd.ProcessState.ExitCode()
}

// options are the options of the command line.
type options struct {
	form     form
	seed     uint64
	seeds    int
	controls bool
	only     string // the name of a control, or "all"
	clock    bool
	root     string
	dir      string
	verbose  bool
	printed  bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	short := flags.Bool("short", false, "make short runs, which together have every kind of fault, and run the controls")
	flags.Uint64Var(&o.seed, "seed", 0, "`seed` of the first run")
	flags.IntVar(&o.seeds, "seeds", 0, "`number` of runs; default 10, or 4 with -short, or 1 with -seed")
	flags.StringVar(&o.only, "control", "", "run only the control of that `name`, or all: a control succeeds if a violation is found")
	flags.BoolVar(&o.clock, "clock", true, "build programs whose wall clock can jump, which takes minutes the first time; default false with -short")
	flags.StringVar(&o.root, "root", "../..", "`directory` of the repository")
	flags.StringVar(&o.dir, "dir", "", "`directory` for programs and logs; default a new directory, which is kept if a run fails")
	flags.BoolVar(&o.verbose, "v", false, "print events as they happen, not only after a failure")
	flags.BoolVar(&o.printed, "plan", false, "print the plans and exit")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.form = longForm
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if *short {
		o.form, o.clock = shortForm, o.clock && given["clock"]
	}
	if o.seeds == 0 {
		switch {
		case given["seed"]:
			o.seeds = 1
		case *short:
			o.seeds = int(layouts)
		default:
			o.seeds = 10
		}
	}
	o.controls = o.only != "" || *short && !given["seed"]
	known := func(c control) bool { return c.name == o.only }
	if o.only != "" && o.only != "all" && !slices.ContainsFunc(controls, known) {
		return o, fmt.Errorf("-control: unknown control %q", o.only)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.root, err = filepath.Abs(o.root); err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	if os.Getenv(mountsVariable) != "" {
		if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "chaos-"); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
		defer func() {
			if err == nil {
				_ = os.RemoveAll(o.dir) // leftovers do no harm
			}
		}()
	}
	a := abilities{mounts: canMount(o.dir), clock: o.clock}
	if !a.mounts {
		fmt.Fprintln(out, "cannot mount disks: faults of disks are left out")
	}
	if o.printed {
		for i := range o.seeds {
			newPlan(o.seed+uint64(i), o.form, a).print(out)
		}
		return nil
	}
	return o.all(ctx, a, out)
}

// all makes the runs and the controls that the options select.
func (o options) all(ctx context.Context, a abilities, out io.Writer) error {
	begun := time.Now()
	var failed []string
	if o.only == "" {
		programs, err := o.build(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "programs built after %.0f s\n", time.Since(begun).Seconds())
		if failed, err = o.runs(ctx, programs, a, out); err != nil {
			return err
		}
	}
	if o.controls {
		blind, err := o.runControls(ctx, out)
		if err != nil {
			return err
		}
		failed = append(failed, blind...)
	}
	if len(failed) > 0 {
		return fmt.Errorf("%v failed; logs are in %s", failed, o.dir)
	}
	fmt.Fprintf(out, "all passed after %.0f s\n", time.Since(begun).Seconds())
	return nil
}

// build builds the programs of a fleet, and returns their directory.
func (o options) build(ctx context.Context) (programs string, err error) {
	programs = filepath.Join(o.dir, "bin")
	b := overlay.Build{Root: o.root, Out: programs, Points: points, Clock: o.clock}
	if err := b.Run(ctx, o.root, "./cmd/coordinator", "./cmd/worker"); err != nil || !o.clock {
		return programs, err
	}
	nats := overlay.Build{Root: o.root, Out: filepath.Join(programs, "nats"), Clock: true}
	if err := nats.Run(ctx, filepath.Join(o.root, "test/chaos"), "."); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(nats.Out, "chaos"), filepath.Join(programs, "chaos")); err != nil {
		return "", fmt.Errorf("place the program of NATS servers: %w", err)
	}
	return programs, nil
}

// runs makes the runs of all seeds, and returns those that failed.
func (o options) runs(ctx context.Context, programs string, a abilities, out io.Writer) (failed []string, err error) {
	var slowest verdict
	for i := range o.seeds {
		p := newPlan(o.seed+uint64(i), o.form, a)
		v := o.one(ctx, fmt.Sprintf("seed-%d", p.seed), programs, p, out)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if len(v.faults) > 0 {
			failed = append(failed, fmt.Sprintf("seed %d", p.seed))
		}
		if v.settled > slowest.settled {
			slowest = v
		}
	}
	fmt.Fprintf(out, "%d of %d seeds passed; the slowest, %d, settled %.0f s after its last fault\n",
		o.seeds-len(failed), o.seeds, slowest.seed, slowest.settled.Seconds())
	return failed, nil
}

// runControls runs the selected controls, and returns those without the expected violation.
func (o options) runControls(ctx context.Context, out io.Writer) (failed []string, err error) {
	for _, c := range controls {
		if o.only != "" && o.only != "all" && o.only != c.name {
			continue
		}
		ok, err := o.control(ctx, c, out)
		if err != nil {
			return nil, err
		}
		if !ok {
			failed = append(failed, "control "+c.name)
		}
	}
	return failed, nil
}

// verdict is the result of a run.
type verdict struct {
	seed    uint64
	faults  []string      // violations
	journal string        // file of the run's events
	settled time.Duration // from the last fault until all imports had ended and nothing was queued
}

// one makes one run and prints its result, unless ctx ends first.
func (o options) one(ctx context.Context, name, programs string, p plan, out io.Writer) verdict {
	begun := time.Now()
	v := o.live(ctx, name, programs, p, out)
	if ctx.Err() != nil {
		return v
	}
	if len(v.faults) == 0 {
		fmt.Fprintf(out, "seed %-4d %-24s %2d faults, %d imports: ok after %.0f s, settled %.0f s after the last fault\n", p.seed, p.layout.String()+",",
			len(p.faults), len(p.imports), time.Since(begun).Seconds(), v.settled.Seconds())
		return v
	}
	p.print(out)
	if !o.verbose {
		text, _ := os.ReadFile(v.journal) // there may be none
		fmt.Fprintf(out, "%s", text)
	}
	fmt.Fprintf(out, "seed %d FAILED; to repeat: make chaos CHAOS='-seed %d%s'\n", p.seed, p.seed, map[bool]string{true: " -short"}[p.form.short])
	for _, text := range v.faults {
		fmt.Fprintln(out, "  "+text)
	}
	return v
}

// controlRuns is the most runs of a control. Whether the faults of a run violate the invariant
// depends on chance.
const controlRuns = 3

// control repeats runs with an invariant switched off, and reports whether one of them had the
// expected violation.
func (o options) control(ctx context.Context, c control, out io.Writer) (bool, error) {
	begun := time.Now()
	b := overlay.Build{Root: o.root, Out: filepath.Join(o.dir, "bin-"+c.name), Points: points, Bodies: c.bodies}
	if err := b.Run(ctx, o.root, "./cmd/coordinator", "./cmd/worker"); err != nil {
		return false, err
	}
	var faults []string
	for run := range controlRuns {
		faults = o.live(ctx, fmt.Sprintf("control-%s-%d", c.name, run), b.Out, c.plan(), out).faults
		if err := ctx.Err(); err != nil {
			return false, err
		}
		i := slices.IndexFunc(faults, func(text string) bool {
			return slices.ContainsFunc(c.signs, func(sign string) bool { return strings.Contains(text, sign) })
		})
		if i >= 0 {
			fmt.Fprintf(out, "control %-8s passed after %.0f s: %s, and this was found: %.140s\n", c.name, time.Since(begun).Seconds(), c.about, faults[i])
			return true, nil
		}
	}
	fmt.Fprintf(out, "control %s FAILED: although %s, no violation has any of the texts %q in %d runs; the last run has %q\n",
		c.name, c.about, c.signs, controlRuns, faults)
	return false, nil
}

// live sets up a world, runs it, and removes it.
func (o options) live(ctx context.Context, name, programs string, p plan, out io.Writer) verdict {
	dir := filepath.Join(o.dir, name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return verdict{seed: p.seed, faults: []string{err.Error()}}
	}
	file, err := os.Create(filepath.Join(dir, "journal"))
	if err != nil {
		return verdict{seed: p.seed, faults: []string{err.Error()}}
	}
	defer file.Close()
	to := io.Writer(file)
	if o.verbose {
		p.print(out)
		to = io.MultiWriter(file, out)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := newWorld(ctx, dir, programs, p, to)
	defer w.close()
	if err == nil {
		err = w.life(ctx)
	}
	if err != nil {
		w.violate("the run could not be completed: %v", err)
	}
	return verdict{seed: p.seed, faults: w.faults, journal: file.Name(), settled: w.settled}
}

// life makes the imports, the faults and the checks of a run.
func (w *world) life(ctx context.Context) error {
	w.s3.fillLive()
	u := users{w}
	if err := u.prepare(ctx); err != nil {
		return err
	}
	w.note("the fleet is ready")
	outcomes := u.perform(ctx)
	w.note("checking the result")
	if err := w.ready(ctx, w.apis...); err != nil {
		return err
	}
	return checker{w}.check(ctx, outcomes)
}
