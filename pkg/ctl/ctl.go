// Package ctl is the commands of rangectl. They use the machine only through
// System, so that another program, or a test, can run them inside itself.
package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// The exit codes. Scripts rely on them.
const (
	OK          = 0
	Failed      = 1   // what was asked for failed
	Usage       = 2   // the command line, the environment or the file is wrong
	Canceled    = 3   // the import was canceled
	Unknown     = 4   // contact was lost; what was asked for may go on
	Interrupted = 130 // the user interrupted; an import that was started goes on
)

// System is what the commands use of the machine. Every field is needed.
type System struct {
	In       io.Reader
	Out, Err io.Writer // results, and what is said meanwhile
	Getenv   func(string) string
	// Width is the number of columns of the terminal behind Err; 0: it is none.
	Width func() int
	// ReadSecret reads a line of In, from a terminal without showing it.
	ReadSecret func() (string, error)
	Now        func() time.Time
	Sleep      func(context.Context, time.Duration) error // not longer than the context
	Transport  http.RoundTripper
}

// OS is the machine that the process runs on.
func OS() System {
	return System{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Getenv: os.Getenv, Width: terminalWidth, ReadSecret: readSecret,
		Now: time.Now, Sleep: pause.For, Transport: http.DefaultTransport,
	}
}

func terminalWidth() int {
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil {
		return 0
	}
	return cmp.Or(width, 80) // a terminal that was never told its size says 0
}

func readSecret() (string, error) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		secret, err := term.ReadPassword(fd)
		return string(secret), err
	}
	return readLine(os.Stdin)
}

// Run runs one command line (without the program's name) and returns the exit
// code. The end of ctx is the user's interrupt.
func Run(ctx context.Context, sys System, args []string) int {
	root := newRoot(sys)
	root.SetArgs(args)
	ran, err := root.ExecuteContextC(ctx)
	if err == nil {
		return OK
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{Usage, err} // what cobra itself finds is wrong with a command line
	}
	if f.err != nil {
		fmt.Fprintf(sys.Err, "rangectl: %s\n", printable(f.err.Error()))
	}
	if f.code == Usage {
		fmt.Fprintf(sys.Err, "See %s --help.\n", ran.CommandPath())
	}
	return f.code
}

// failure is an error with its exit code. Without err all was said.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return fmt.Sprint(f.err) }
func (f *failure) Unwrap() error { return f.err }

func usage(format string, args ...any) error {
	return &failure{Usage, fmt.Errorf(format, args...)}
}

// app is what all commands share: the machine and the flags of the root.
type app struct {
	System
	endpoint string
	output   string
}

// newRoot returns the command of rangectl, to be run once. Run says what its
// errors mean.
func newRoot(sys System) *cobra.Command {
	a := &app{System: sys}
	root := &cobra.Command{
		Use:   "rangectl",
		Short: "Import the metadata of object stores into branches, and look at them",
		Long: `rangectl tells a Rangefleet coordinator what to import, and shows what came of it.

Where the coordinator is, and who asks, comes from
  --endpoint, or RANGECTL_ENDPOINT         (default ` + defaultEndpoint + `)
  RANGECTL_ACCESS_KEY_ID and RANGECTL_SECRET_ACCESS_KEY
or from the file that "rangectl login" writes: RANGECTL_CONFIG, or rangectl.yaml in
$XDG_CONFIG_HOME or ~/.config. Its credentials go to no other endpoint than its own.

Exit codes:
    0  done
    1  failed
    2  wrong command line, environment or file
    3  the import was canceled
    4  contact was lost; what was asked for may go on
  130  interrupted; an import that was started goes on`,
		Version:       buildinfo.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "text" && a.output != "json" {
				return usage("--output %q: want text or json", a.output)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(sys.In)
	root.SetOut(sys.Out)
	root.SetErr(sys.Err)
	root.PersistentFlags().StringVar(&a.endpoint, "endpoint", "", "`URL` of the coordinator")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "`format` of results: text, or json (one object a line)")
	root.AddCommand(
		a.importCommand(), a.statusCommand(), a.cancelCommand(),
		a.lsCommand(), a.statCommand(), a.logCommand(),
		a.repoCommand(), a.branchCommand(), a.doctorCommand(), a.loginCommand(),
	)
	return root
}

// run is the RunE of a command: it gives every error its exit code, and the
// user's interrupt its own.
func run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd.Context(), args)
		var known *failure
		switch {
		case err == nil || errors.As(err, &known):
			return err
		case cmd.Context().Err() != nil:
			return &failure{code: Interrupted}
		default:
			return &failure{Failed, hinted(err)}
		}
	}
}

// about makes the RunE of a command whose first argument says what it is about, and that
// asks a coordinator.
func about[T any](a *app, parse func(arg string) (T, error), f func(context.Context, *client.Client, T) error) func(*cobra.Command, []string) error {
	return run(func(ctx context.Context, args []string) error {
		what, err := parse(args[0])
		if err != nil {
			return err
		}
		c, err := a.client(client.Config{})
		if err != nil {
			return err
		}
		return missingAt(args[0], f(ctx, c, what))
	})
}

// missingAt adds to the answer that something is not there where it was looked for.
func missingAt(where string, err error) error {
	var answer *client.Error
	if errors.As(err, &answer) && answer.Status == http.StatusNotFound {
		return fmt.Errorf("%s: %w", where, err)
	}
	return err
}

// hinted adds what the user can do about an error.
func hinted(err error) error {
	var answer *client.Error
	if errors.As(err, &answer) && answer.Status == http.StatusUnauthorized {
		return fmt.Errorf("%w; set RANGECTL_ACCESS_KEY_ID and RANGECTL_SECRET_ACCESS_KEY, or run rangectl login", err)
	}
	return err
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	g.AddCommand(commands...)
	return g
}
