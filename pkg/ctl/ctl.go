// Package ctl implements the commands of the rangectl command line. They use the
// machine only through System, so that another program or a test can run them
// in its own process.
package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// ExitCode is the exit code of a command. Scripts rely on the values.
type ExitCode int

// The exit codes.
const (
	OK          ExitCode = 0
	Failed      ExitCode = 1   // what was asked for failed
	Usage       ExitCode = 2   // the command line, the environment or the file is wrong
	Canceled    ExitCode = 3   // the import was canceled
	Unknown     ExitCode = 4   // the coordinator stopped answering; what was asked for may go on
	Wrong       ExitCode = 5   // what was checked is not as it should be; Failed: it could not be checked
	Interrupted ExitCode = 130 // the user interrupted the command; an import that was started goes on
)

// System is what the commands use of the machine. Every field is required.
type System struct {
	In       io.Reader
	Out, Err io.Writer // results; progress and messages
	Getenv   func(string) string
	Environ  func() []string // all variables, as NAME=value
	// Width returns the number of columns of the terminal that Err writes to, 0 if it is none.
	Width func() int
	// ReadSecret reads a line of In, without echo if that is a terminal.
	ReadSecret func() (string, error)
	Now        func() time.Time
	Sleep      func(context.Context, time.Duration) error // not longer than the context
	// Await waits until done is closed, at most for a time. It reports whether done is closed.
	Await     func(done <-chan struct{}, most time.Duration) bool
	Transport http.RoundTripper
}

// OS is the machine that the process runs on.
func OS() System {
	return System{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Getenv: os.Getenv, Environ: os.Environ, Width: terminalWidth, ReadSecret: readSecret,
		Now: time.Now, Sleep: pause.For, Await: await, Transport: http.DefaultTransport,
	}
}

func terminalWidth() int {
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil {
		return 0
	}
	return cmp.Or(width, 80) // a terminal whose size was never set reports 0
}

func await(done <-chan struct{}, most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func readSecret() (string, error) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		secret, err := term.ReadPassword(fd)
		return string(secret), err
	}
	return readLine(os.Stdin)
}

// Run runs one command line (without the program's name) and returns the exit
// code. The user interrupts it by canceling ctx.
func Run(ctx context.Context, sys System, args []string) ExitCode {
	a := &app{sys: sys}
	root := newRoot(a)
	root.SetArgs(args)
	ran, err := root.ExecuteContextC(ctx)
	if err == nil {
		return OK
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{code: Usage, err: err} // cobra's own errors are about the command line
	}
	if wantsJSON(args) {
		a.output = "json"
	}
	a.report(f, err, ran.CommandPath())
	return f.code
}

// app is what all commands share: the machine and the flags of the root.
type app struct {
	sys      System
	endpoint string
	caFile   string
	output   string
	progress string // of commands that have it
	quiet    bool   // likewise
}

// newRoot returns the rangectl command, to be run once. Run turns its errors into
// exit codes.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "rangectl",
		Short: "Import the metadata of object stores into branches, and inspect branches",
		Long: `rangectl tells a Rangefleet coordinator what to import, and shows the result.

The address of the coordinator and the keys of the user come from
  --endpoint, or RANGECTL_ENDPOINT         (default ` + defaultEndpoint + `)
  --ca-file, or RANGECTL_CA_FILE           (default: the authorities that the system trusts)
  RANGECTL_ACCESS_KEY_ID and RANGECTL_SECRET_ACCESS_KEY, or RANGECTL_TOKEN
or from the file that "rangectl login" writes: RANGECTL_CONFIG, or rangectl.yaml in
$XDG_CONFIG_HOME or ~/.config. Keys in that file are only sent to the endpoint in it.

Exit codes:
    0  done
    1  failed
    2  the command line, the environment or the file is wrong
    3  the import was canceled
    4  the coordinator stopped answering; what was asked for may go on
    5  what was checked (verify, doctor) is not as it should be
  130  interrupted; an import that was started goes on

"rangectl help output" says what is written, as text and as JSON lines.`,
		Version:       buildinfo.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if a.output != "text" && a.output != "json" {
				return usage("--output %q: want text or json", a.output)
			}
			return refuseFlags(cmd)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.sys.In)
	root.SetOut(a.sys.Out)
	root.SetErr(a.sys.Err)
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().StringVar(&a.endpoint, "endpoint", "", "`URL` of the coordinator")
	root.PersistentFlags().StringVar(&a.caFile, "ca-file", "", "PEM `file` of the authority that signed the coordinator's certificate")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "`format` of results: text, or json (one object a line)")
	root.AddCommand(
		importCommand(a), importsCommand(a), statusCommand(a), cancelCommand(a),
		lsCommand(a), statCommand(a), logCommand(a),
		repoCommand(a), branchCommand(a), verifyCommand(a), inspectCommand(a), doctorCommand(a), authCommand(a), loginCommand(a),
		completionCommand(), outputTopic(),
	)
	completeWords(root, "output", "text", "json")
	a.arrange(root)
	return root
}

// runE is the function that cobra runs for a command.
type runE = func(*cobra.Command, []string) error

// run makes the runE of a command: it gives every error its exit code, and one code of
// its own to the user's interrupt.
func run(f func(ctx context.Context, args []string) error) runE {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd.Context(), args)
		if _, ok := errors.AsType[*failure](err); ok || err == nil {
			return err
		}
		if cmd.Context().Err() != nil {
			return &failure{code: Interrupted}
		}
		return &failure{code: Failed, err: hinted(err)}
	}
}

// call makes the runE of a command that calls a coordinator about what its first
// argument names; parse is given "" if the command takes no arguments.
func call[T any](a *app, parse func(arg string) (T, error), f func(context.Context, *client.Client, T) error) runE {
	return run(func(ctx context.Context, args []string) error {
		var arg string
		if len(args) > 0 {
			arg = args[0]
		}
		what, err := parse(arg)
		if err != nil {
			return err
		}
		c, err := a.client(client.Config{})
		if err != nil {
			return err
		}
		err = f(ctx, c, what)
		if p, ok := any(what).(place); ok {
			return a.missing(ctx, p, arg, err)
		}
		return missingAt(arg, err)
	})
}

// nothing is the parser of a command without arguments.
func nothing(string) (struct{}, error) { return struct{}{}, nil }

// get is call for a command that shows one result.
func get[T, R any](a *app, as kind, parse func(arg string) (T, error), ask func(context.Context, *client.Client, T) (R, error), text func(io.Writer, R) error) runE {
	return call(a, parse, func(ctx context.Context, c *client.Client, what T) error {
		result, err := ask(ctx, c, what)
		if err != nil {
			return err
		}
		return show(a, as, result, text)
	})
}

// lists adds to a command what makes it list results, one by one as they come: its runE,
// and the flags of every list, which set page.
func lists[T, R any](a *app, cmd *cobra.Command, as kind, page *client.Page, parse func(arg string) (T, error), ask func(context.Context, *client.Client, T) iter.Seq2[R, error], text func(io.Writer, R) error) *cobra.Command {
	cmd.RunE = call(a, parse, func(ctx context.Context, c *client.Client, what T) error {
		return showAll(a, as, ask(ctx, c, what), text)
	})
	cmd.Flags().StringVar(&page.After, "after", "", "show only what follows this `name`")
	cmd.Flags().IntVar(&page.Amount, "amount", 0, "show at most this `number`; 0: all")
	return cmd
}

// answered reports whether an error is an answer of the service with that status.
func answered(err error, status int) bool {
	answer, ok := errors.AsType[*client.Error](err)
	return ok && answer.Status == status
}

// changing returns the error of a call that should have changed something. If the service did
// not answer, it is unknown whether the change was made.
func changing(ctx context.Context, doing string, err error) error {
	said := fmt.Errorf("%s: %w", doing, err)
	if client.Transient(err) && ctx.Err() == nil {
		return &failure{code: Unknown, err: said}
	}
	return said
}

// group returns a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	g.AddCommand(commands...)
	return g
}
