package ctl

import (
	"context"
	"strings"
	"testing"
	"time"
)

var importArgs = []string{"import", "--from", "s3://lake/raw/", "--to", "lakefs://demo/main"}

func times(n int, answer string) []string {
	answers := make([]string, n)
	for i := range answers {
		answers[i] = answer
	}
	return answers
}

// TestImportEndings shows how an import proceeds and ends, as a user sees it.
func TestImportEndings(t *testing.T) {
	for _, c := range []struct {
		name   string
		status []string
		args   []string
		width  int
		code   ExitCode
	}{
		{"ends-completed-on-a-terminal", []string{runningJSON, committingJSON, completedJSON}, nil, 60, OK},
		{"ends-completed-silent", []string{runningJSON, completedJSON}, []string{"--progress", "none"}, 60, OK},
		{"ends-failed", []string{runningJSON, failedJSON}, nil, 0, Failed},
		{"ends-failed-json", []string{runningJSON, failedJSON}, []string{"-o", "json"}, 0, Failed},
		{"ends-canceled", []string{runningJSON, canceledJSON}, nil, 0, Canceled},
		{"ends-after-an-outage", append(append(times(30, runningJSON), times(100, cutOff)...), runningJSON, completedJSON), nil, 0, OK},
		{"ends-after-a-problem", append(times(3, stuckJSON), committingJSON, stuckJSON, completedJSON), nil, 0, OK},
		{"ends-after-a-problem-on-a-terminal", []string{stuckJSON, stuckJSON, completedJSON}, nil, 60, OK},
		{"ends-unknown", []string{runningJSON, `503 {"message":"no leader"}`}, nil, 0, Unknown},
		{"ends-unauthorized", []string{runningJSON, `401 {"message":"error authenticating request"}`}, nil, 0, Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := script()
			s[statusURI] = c.status
			co := newCoordinator(t, s)
			m := newMachine(t, co)
			m.width = c.width
			args := append(importArgs[:len(importArgs):len(importArgs)], c.args...)
			code := Run(context.Background(), m.system(), args)
			if code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			golden(t, c.name+".txt", strings.NewReplacer("\x1b", `\e`, "\r", `\r`).Replace(m.transcript(co, code, args...)))
		})
	}
}

func TestGivesUpAfterMinutesWithoutAnAnswer(t *testing.T) {
	s := script()
	s[statusURI] = []string{cutOff}
	co := newCoordinator(t, s)
	m := newMachine(t, co)
	start := m.now
	if code := Run(context.Background(), m.system(), importArgs); code != Unknown {
		t.Errorf("exit %d, want %d", code, Unknown)
	}
	if waited := m.now.Sub(start); waited < giveUpAfter || waited > giveUpAfter+10*time.Second {
		t.Errorf("gave up after %v, want %v", waited, giveUpAfter)
	}
}

func TestStartWithoutAnAnswerIsUnknown(t *testing.T) {
	s := script()
	s["POST "+importURI] = []string{cutOff}
	co := newCoordinator(t, s)
	m := newMachine(t, co)
	if code := Run(context.Background(), m.system(), importArgs); code != Unknown {
		t.Errorf("exit %d, want %d", code, Unknown)
	}
	if !strings.Contains(m.err.String(), "the same command again joins it") {
		t.Errorf("said %q", m.err.String())
	}
}

// An interrupt detaches at any time. How to watch the import again is printed once it has
// an ID.
func TestInterrupt(t *testing.T) {
	for _, c := range []struct {
		name string
		post []string
		args []string
		at   int // the sleep that it interrupts
		want string
	}{
		{"while watching", nil, importArgs, 3, "rangectl status --watch lakefs://demo/main i1\n"},
		{"while watching again", nil, []string{"status", "--watch", "lakefs://demo/main", "i1"}, 3, "rangectl cancel lakefs://demo/main i1\n"},
		{"while starting", []string{cutOff}, importArgs, 1, "the same command again joins it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := script()
			s[statusURI] = []string{runningJSON}
			if c.post != nil {
				s["POST "+importURI] = c.post
			}
			co := newCoordinator(t, s)
			m := newMachine(t, co)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			m.onSleep = func(n int) {
				if n == c.at {
					cancel()
				}
			}
			if code := Run(ctx, m.system(), c.args); code != Interrupted {
				t.Errorf("exit %d, want %d", code, Interrupted)
			}
			if !strings.Contains(m.err.String(), c.want) || m.slept != c.at {
				t.Errorf("after %d sleeps said %q, want %q", m.slept, m.err.String(), c.want)
			}
			for _, r := range co.seen() {
				if strings.HasPrefix(r, "DELETE") {
					t.Errorf("the import was canceled: %s", r)
				}
			}
		})
	}
}

// The printed commands contain everything that the user would have to type again.
func TestHowToReturnNamesTheEndpoint(t *testing.T) {
	co := newCoordinator(t, script())
	m := newMachine(t, co)
	delete(m.env, "RANGECTL_ENDPOINT")
	args := append(importArgs[:len(importArgs):len(importArgs)], "--detach", "--endpoint", co.URL)
	if code := Run(context.Background(), m.system(), args); code != OK {
		t.Fatalf("exit %d: %s", code, m.err.String())
	}
	if want := "lakefs://demo/main i1 --endpoint " + co.URL; !strings.Contains(m.err.String(), want) {
		t.Errorf("said %q, want %q in it", m.err.String(), want)
	}
}
