package ctl

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// style is how progress is shown.
type style string

// The styles of --progress, apart from auto.
const (
	styleTTY   style = "tty"   // one line of a terminal, redrawn
	stylePlain style = "plain" // a line now and then
	styleJSON  style = "json"  // a line of JSON each second
	styleNone  style = "none"
)

const (
	drawEvery = time.Second      // on a terminal, and as JSON
	lineEvery = 10 * time.Second // plain
)

// addProgress adds the flags of progress to a command.
func addProgress(cmd *cobra.Command, a *app) {
	cmd.Flags().StringVar(&a.progress, "progress", "auto",
		"`style` of progress: tty, plain, json, none, or auto (tty on a terminal; else json with --output json, and plain without)")
	cmd.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "show neither progress nor notices, only results and errors")
	completeWords(cmd, "progress", "auto", "tty", "plain", "json", "none")
}

// display shows on stderr how far a command is.
type display struct {
	app   *app
	style style
	last  time.Time // when a line was shown, at first when the command began
	state string    // that was shown last, without its numbers
	drawn bool      // a line stands on the terminal
}

// newDisplay returns a display for the value of --progress. Nothing is shown before the first
// state other than the given one, except on a terminal.
func newDisplay(a *app, state string) (*display, error) {
	d := &display{app: a, style: style(a.progress), last: a.sys.Now(), state: state}
	switch d.style {
	case styleTTY, stylePlain, styleJSON, styleNone:
	case "auto":
		d.style = autoStyle(a)
	default:
		return nil, usage("--progress %q: want auto, tty, plain, json or none", a.progress)
	}
	if a.quiet {
		if a.progress != "auto" {
			return nil, usage("--quiet and --progress: set one of them")
		}
		d.style = styleNone
	}
	return d, nil
}

// autoStyle is the style that suits where messages go.
func autoStyle(a *app) style {
	switch {
	case a.sys.Width() > 0 && a.sys.Getenv("TERM") != "dumb":
		return styleTTY
	case a.output == "json":
		return styleJSON
	}
	return stylePlain
}

// meter is the display of a command that gets its results step by step, without an ID to come
// back to.
type meter struct {
	*display
	start time.Time
}

// newMeter returns a meter. The looks that it shows have no state.
func newMeter(a *app) (*meter, error) {
	d, err := newDisplay(a, "")
	return &meter{d, a.sys.Now()}, err
}

// elapsed is the time since the command began.
func (m *meter) elapsed() time.Duration { return m.app.sys.Now().Sub(m.start) }

// look is what a display shows at a time: parts of a line, and the same as JSON.
type look struct {
	state string   // a line is shown at once if it differs from the last one's
	parts []string // the most important ones first
	warns bool
	line  any
}

// dueIn returns when the next line is due although the state is the same.
func (d *display) dueIn() time.Duration {
	every := drawEvery
	switch d.style {
	case styleTTY, styleJSON:
	case stylePlain:
		every = lineEvery
	case styleNone:
		return lineEvery
	}
	return every - d.app.sys.Now().Sub(d.last)
}

// show shows a look if it is due: if the state differs, or the last line is old.
func (d *display) show(at look) {
	undrawn := d.style == styleTTY && !d.drawn
	if d.style == styleNone || at.state == d.state && d.dueIn() > 0 && !undrawn {
		return
	}
	sys := d.app.sys
	d.last, d.state = sys.Now(), at.state
	switch d.style {
	case styleTTY:
		d.drawn = true
		fmt.Fprint(sys.Err, drawn(at, sys.Width(), sys.Getenv("NO_COLOR") == ""))
	case styleJSON:
		_ = writeLine(sys.Err, kindStatus, at.line) // there is no way to report the error
	default:
		fmt.Fprintln(sys.Err, strings.Join(at.parts, ", "))
	}
}

// clear takes the line off a terminal, before something else is written.
func (d *display) clear() {
	if d.drawn {
		fmt.Fprint(d.app.sys.Err, clearLine)
		d.drawn = false
	}
}

const (
	clearLine = "\r\x1b[K"
	yellow    = "\x1b[33m"
	uncolored = "\x1b[0m"
)

// drawn returns what a terminal of that width must be sent to show a look in place of the
// line before. It never reaches the last column, where terminals wrap. Color says nothing that
// the text does not.
func drawn(at look, width int, color bool) string {
	line := fit(at.parts, width-1)
	if color && at.warns {
		line = yellow + line + uncolored
	}
	return clearLine + line
}

// fit joins the parts that there is room for, the first ones first. Of the very first it returns as
// much as there is room for.
func fit(parts []string, room int) string {
	first := []rune(parts[0])
	if len(first) > room {
		return string(first[:max(room, 0)])
	}
	line, room := parts[0], room-len(first)
	for _, part := range parts[1:] {
		if need := 2 + len([]rune(part)); need <= room {
			line, room = line+", "+part, room-need
		}
	}
	return line
}
