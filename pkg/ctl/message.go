package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// kind is what a line of JSON is about: its message_type.
type kind string

// The kinds of lines on stderr, and of the state of what a command waits for.
const (
	kindStatus  kind = "status"  // how far something is that has not ended
	kindSummary kind = "summary" // how it ended
	kindNotice  kind = "notice"  // what else a person would want to know
	kindError   kind = "error"   // why the exit code is not 0
)

// writeLine writes an object as a line of JSON whose first field is its kind.
func writeLine(w io.Writer, as kind, object any) error {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(object); err != nil {
		return err
	}
	fields := strings.TrimPrefix(b.String(), "{")
	if fields != "}\n" {
		fields = "," + fields
	}
	_, err := fmt.Fprintf(w, `{"message_type":%q%s`, string(as), fields)
	return err
}

// notice is a message that is neither a result nor an error.
type notice struct {
	Message string `json:"message"`
	ID      string `json:"id,omitempty"`     // of the import that it is about
	Watch   string `json:"watch,omitempty"`  // the command that watches it
	Cancel  string `json:"cancel,omitempty"` // the command that cancels it
	Undo    string `json:"undo,omitempty"`   // the command that undoes what was done
}

// lines is the notice as text.
func (n notice) lines() string {
	text := printable(n.Message) + "\n"
	if n.Watch != "" {
		text += fmt.Sprintf("  watch it:   %s\n  cancel it:  %s\n", printable(n.Watch), printable(n.Cancel))
	}
	if n.Undo != "" {
		text += fmt.Sprintf("  undo it:    %s\n", printable(n.Undo))
	}
	return text
}

// say writes a notice to stderr, unless the user wants none.
func (a *app) say(n notice) {
	if !a.quiet {
		a.insist(n)
	}
}

// insist writes a notice that the user needs even if none are wanted.
func (a *app) insist(n notice) {
	if a.jsonMessages() {
		_ = writeLine(a.sys.Err, kindNotice, n) // there is no way to report the error
		return
	}
	fmt.Fprint(a.sys.Err, n.lines())
}

// jsonMessages reports whether what is written to stderr is JSON, too.
func (a *app) jsonMessages() bool { return a.output == "json" || a.progress == "json" }

// failure is an error with its exit code.
type failure struct {
	code  ExitCode
	err   error // nil: there is nothing to say of it but its code
	shown bool  // the text of a result said it already
}

func (f *failure) Error() string { return fmt.Sprint(f.err) }
func (f *failure) Unwrap() error { return f.err }

// advised is an error with a hint at what the user can do about it.
type advised struct {
	error
	hint string
}

func (e *advised) Unwrap() error { return e.error }

// advise adds a hint to an error, unless there is none to add or it has one already.
func advise(err error, hint string) error {
	if _, ok := errors.AsType[*advised](err); ok || hint == "" {
		return err
	}
	return &advised{err, hint}
}

// usage is an error of the command line.
func usage(format string, args ...any) error {
	return &failure{code: Usage, err: fmt.Errorf(format, args...)}
}

// errorLine is an error as JSON.
type errorLine struct {
	Code    ExitCode `json:"code"`
	Message string   `json:"message"`
	Hint    string   `json:"hint,omitempty"`
}

// report says why a command failed: err, which is or wraps f. command is its path, for errors of the
// command line.
func (a *app) report(f *failure, err error, command string) {
	line := errorLine{Code: f.code, Message: "interrupted"}
	if f.err != nil {
		line.Message = f.err.Error()
	}
	if told, ok := errors.AsType[*advised](err); ok {
		line.Hint = told.hint
	} else if f.code == Usage {
		line.Hint = "see " + command + " --help"
	}
	if a.jsonMessages() {
		_ = writeLine(a.sys.Err, kindError, line) // there is no way to report the error
		return
	}
	if f.err != nil && !f.shown {
		fmt.Fprintf(a.sys.Err, "rangectl: %s\n", printable(line.Message))
	}
	if line.Hint != "" {
		fmt.Fprintf(a.sys.Err, "hint: %s\n", printable(line.Hint))
	}
}

// wantsJSON reports whether a command line asks for JSON, for errors in it that end its parsing
// before it is known.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		value, given := strings.CutPrefix(arg, "--output=")
		if !given {
			value, given = strings.CutPrefix(arg, "-o")
			value = strings.TrimPrefix(value, "=")
		}
		if slices.Contains([]string{"-o", "--output", "--progress"}, arg) && i+1 < len(args) {
			value, given = args[i+1], true
		}
		if given && value == "json" || arg == "--progress=json" {
			return true
		}
		if arg == "--" {
			break
		}
	}
	return false
}
