package ctl

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rangefleet/rangefleet/pkg/doctor"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// checkFlags are the flags of doctor without a bucket.
type checkFlags struct {
	process            string
	namespaces         []string
	repository, branch string
	write              bool
}

func (c *checkFlags) add(flags *pflag.FlagSet) {
	flags.String("config", "", "YAML `file` of settings (environment RANGEFLEET_CONFIG)")
	flags.StringVar(&c.process, "process", "coordinator", "`whose` settings: coordinator or worker")
	flags.StringArrayVar(&c.namespaces, "namespace", nil, "`URI` of a storage namespace to check; may be repeated")
	flags.StringVar(&c.repository, "repository", "", "`name` of a repository of the lakeFS server, to try the permissions there")
	flags.StringVar(&c.branch, "branch", "main", "`name` of a branch of that repository")
	flags.BoolVar(&c.write, "write", false, "also store something in NATS and in each namespace, and delete it again")
}

// run checks the settings, and what they lead to.
func (c *checkFlags) run(ctx context.Context, a *app, flags *pflag.FlagSet) error {
	process := settings.Coordinator
	switch c.process {
	case "coordinator":
	case "worker":
		process = settings.Worker
	default:
		return usage("--process %q: want coordinator or worker", c.process)
	}
	for _, text := range c.namespaces {
		if u, err := objectstore.ParseURI(text); err != nil || u.Scheme != objectstore.SchemeS3 {
			return usage("--namespace %q: want s3://bucket, or with a path after it", text)
		}
	}
	t := tally{app: a}
	loaded, err := settings.Load(process, flags, a.sys.Environ())
	if err != nil {
		for _, check := range doctor.Invalid(err) {
			t.add(check)
		}
		return t.end()
	}
	doctor.Run(ctx, doctor.Config{
		Settings: loaded, Namespaces: c.namespaces, Repository: c.repository, Branch: c.branch, Write: c.write,
		HTTP: a.sys.Transport, Log: slog.New(slog.DiscardHandler),
	}, t.add)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return t.end()
}

// tally shows checks, and counts them.
type tally struct {
	app              *app
	warnings, failed int64
	err              error // of showing them
}

func (t *tally) add(c doctor.Check) {
	switch c.State {
	case doctor.Warning:
		t.warnings++
	case doctor.Failed:
		t.failed++
	case doctor.OK:
	}
	if err := show(t.app, kindCheck, c, checkLines); err != nil && t.err == nil {
		t.err = err
	}
}

func (t *tally) end() error {
	switch {
	case t.err != nil:
		return t.err
	case t.failed > 0:
		return &failure{code: Wrong, err: fmt.Errorf("%s failed, with %s", counted(t.failed, "check"), counted(t.warnings, "warning"))}
	}
	return nil
}

func checkLines(w io.Writer, c doctor.Check) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-7s  %-8s  %s: %s\n", c.State, c.Area, printable(c.Name), printable(c.Text))
	if c.Do != "" {
		fmt.Fprintf(&b, "%-7s  %-8s  > %s\n", "", "", printable(c.Do))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
