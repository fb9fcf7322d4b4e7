package ctl

import (
	"fmt"
	"time"
)

// meter shows how far a command is that gets its results step by step.
type meter struct {
	app   *app
	mode  string // tty, plain or none
	start time.Time
	shown time.Time // when a line was shown last
	frame int
}

// newMeter returns a meter for a value of --progress.
func newMeter(a *app, flag string) (*meter, error) {
	mode, err := a.progressMode(flag)
	now := a.sys.Now()
	return &meter{app: a, mode: mode, start: now, shown: now}, err
}

// show shows a line, unless one was shown a moment ago.
func (m *meter) show(line string) {
	sys := m.app.sys
	now := sys.Now()
	every := lineEvery
	if m.mode == "tty" {
		every = frameEvery
	}
	if m.mode == "none" || now.Sub(m.shown) < every {
		return
	}
	m.shown = now
	m.frame++
	line += ", " + now.Sub(m.start).Truncate(time.Second).String()
	if m.mode == "tty" {
		fmt.Fprint(sys.Err, redraw(line, false, m.frame, sys.Width(), sys.Getenv("NO_COLOR") == ""))
	} else {
		fmt.Fprintln(sys.Err, line)
	}
}

// clear takes the line off a terminal, before a result is shown.
func (m *meter) clear() {
	if m.mode == "tty" && m.frame > 0 {
		fmt.Fprint(m.app.sys.Err, clearLine)
	}
}
