// Package demo runs a demonstration: a coordinator in this process, and rangectl commands
// that import directory trees into a branch and show the result.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rangefleet/rangefleet/pkg/ctl"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// Demo is one demonstration. All fields but Keep are required.
type Demo struct {
	Dirs []string // absolute paths of trees to import, all into the root of one branch
	Data string   // an empty directory for everything that is stored
	Keep bool     // the caller does not remove what is stored: say how to use it
	// System is the machine as rangectl sees it. Of its environment only the terminal's
	// variables are used: rangectl is given the address of this coordinator.
	System ctl.System
	Log    *slog.Logger
}

// Where the demo imports to, and how many objects it lists.
const (
	repository = "lakefs://demo"
	branch     = repository + "/main"
	listed     = "12"
)

// errInterrupted says that ctx ended before the demo did.
var errInterrupted = errors.New("interrupted")

// Run runs the demo. When it returns, the coordinator has ended. The caller may then remove
// what is stored.
func (d Demo) Run(ctx context.Context) error {
	config, err := d.settings()
	if err != nil {
		return err
	}
	fmt.Fprint(d.System.Out, "A coordinator of its own, with NATS and workers in this process:\n\n")
	running, stop := context.WithCancel(ctx)
	started, ended := make(chan node.Info, 1), make(chan error, 1)
	go func() {
		ended <- node.Coordinator(running, node.Env{
			Settings: config, Log: d.Log, Notices: indented{d.System.Out}, Started: func(info node.Info) { started <- info },
		})
	}()
	select {
	case err = <-ended: // it never started
		stop()
		return err
	case info := <-started:
		err = d.commands(ctx, info)
	}
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	d.farewell()
	return nil
}

// settings returns the settings of a coordinator that uses nothing outside Data and Dirs,
// whatever the environment.
func (d Demo) settings() (settings.Settings, error) {
	flags := pflag.NewFlagSet("demo", pflag.ContinueOnError)
	settings.AddFlags(flags, settings.Coordinator)
	if err := flags.Parse([]string{"--listen", "127.0.0.1:0", "--nats.store_dir", filepath.Join(d.Data, "nats")}); err != nil {
		return settings.Settings{}, err
	}
	s, err := settings.Load(settings.Coordinator, flags, nil)
	s.Local.Allowed = append([]string{d.Data}, d.Dirs...)
	return s, err
}

// commands runs commands as a user would: it creates a repository, imports the trees and
// shows the result.
func (d Demo) commands(ctx context.Context, info node.Info) error {
	sys := d.system(ctx, info)
	load := []string{"import", "--to", branch, "--message", "Import " + strings.Join(d.Dirs, " and ")}
	for _, dir := range d.Dirs {
		load = append(load, "--from", "local://"+strings.TrimSuffix(dir, "/")+"/")
	}
	for _, args := range [][]string{
		{"repo", "create", repository, "local://" + filepath.Join(d.Data, "metadata")},
		load,
		{"log", branch},
		{"ls", branch + "/", "--amount", listed},
		{"ls", branch + "/", "--amount", listed, "--recursive"},
	} {
		fmt.Fprintf(d.System.Out, "\n$ rangectl %s\n", commandLine(args))
		code := ctl.Run(ctx, sys, args)
		if ctx.Err() != nil {
			return errInterrupted
		}
		if code != ctl.OK {
			return fmt.Errorf("rangectl %s ended with exit code %d", args[0], code)
		}
	}
	return nil
}

// system returns the machine that rangectl is run on. Once ctx has ended it drops messages:
// rangectl would say that the import goes on, which is not true here.
func (d Demo) system(ctx context.Context, info node.Info) ctl.System {
	env := map[string]string{
		"RANGECTL_ENDPOINT":          info.API,
		"RANGECTL_ACCESS_KEY_ID":     info.AccessKeyID,
		"RANGECTL_SECRET_ACCESS_KEY": info.SecretAccessKey,
		"TERM":                       d.System.Getenv("TERM"),
		"NO_COLOR":                   d.System.Getenv("NO_COLOR"),
	}
	sys := d.System
	sys.Getenv = func(name string) string { return env[name] }
	sys.Err = until{ctx, d.System.Err}
	return sys
}

// farewell says what happens to what was stored, and what to do next.
func (d Demo) farewell() {
	say := func(format string, args ...any) { fmt.Fprintf(d.System.Out, format+"\n", args...) }
	say("")
	if !d.Keep {
		say("Everything was stored in %s, which is removed now; --keep leaves it there.", d.Data)
		say("To run a coordinator for real, see README.md, \"Run a server\".")
		return
	}
	say("Everything is stored in %s; remove it with rm -r. To serve it, with the keys above:", d.Data)
	say("")
	say("  go run ./cmd/coordinator --nats.store_dir %s --local.allowed %s",
		quoted(filepath.Join(d.Data, "nats")), quoted(d.Data))
	say("  go run ./cmd/rangectl login")
	say("  go run ./cmd/rangectl log %s", branch)
}

// commandLine returns the arguments as they are typed in a shell.
func commandLine(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = quoted(arg)
	}
	return strings.Join(words, " ")
}

func quoted(word string) string {
	if word != "" && !strings.ContainsFunc(word, special) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// special reports whether a rune may have a meaning in a shell.
func special(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:@%+=,", r)
}

// indented indents lines by two columns. Each Write must be of whole lines.
type indented struct{ w io.Writer }

func (i indented) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if _, err := fmt.Fprintf(i.w, "  %s", line); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// until writes until ctx ends, and then drops everything.
type until struct {
	ctx context.Context
	w   io.Writer
}

func (u until) Write(p []byte) (int, error) {
	select {
	case <-u.ctx.Done():
		return len(p), nil
	default:
		return u.w.Write(p)
	}
}
