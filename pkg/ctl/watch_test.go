package ctl

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
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
		{"ends-after-a-problem-on-a-terminal-json", []string{stuckJSON, stuckJSON, completedJSON}, []string{"-o", "json"}, 60, OK},
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
			golden(t, c.name+".txt", visible(m.transcript(co, code, args...)))
		})
	}
}

// growing is what an import answers that lists a million objects, and was accepted a second before
// the command that is given the first answer.
func growing() []string {
	var answers []string
	status := func(listed, stored, ranges, partitions int, more string) {
		seconds := 1 + max(float64(len(answers))-3, 0)
		answers = append(answers, fmt.Sprintf(`200 {"completed":false,"ingested_objects":%d,"phase":"running","ranges":%d,"partitions":%d,`+
			`"update_time":"2026-01-02T03:04:05Z","progress":{"listed_objects":%d,"objects_per_second":%d,"elapsed_seconds":%v,"workers":%d,`+
			`"queued_partitions":0,"running_partitions":%d,"throttles":0,"retries":%d%s}}`,
			stored, ranges, partitions, listed, listed/max(int(seconds), 1), seconds, min(partitions, 3), partitions, len(answers)/10, more))
	}
	for range 4 {
		status(0, 0, 0, 1, "")
	}
	for i := range 24 {
		more := ""
		if i > 4 {
			more = fmt.Sprintf(`,"estimated_objects":1100000,"estimated_objects_low":900000,"estimated_objects_high":%d,"remaining_seconds":%d`, 2_000_000-i*30_000, 24-i)
		}
		status(1000+i*i*2000, i*i*1500, i*4, min(1+i, 8), more)
	}
	const all = 1_103_000
	ofAll := strings.NewReplacer("20000", strconv.Itoa(all), `"ranges":12`, `"ranges":96`)
	total := `"progress":{"listed_objects":%d,"objects_per_second":%d,"elapsed_seconds":%d,"workers":0,"queued_partitions":0,"running_partitions":0,` +
		`"throttles":0,"retries":2,"tree_ranges":%d,"estimated_tree_ranges":96},"phase"`
	for i, answer := range []string{committingJSON, committingJSON, completedJSON} {
		seconds := 26 + i
		answers = append(answers, strings.Replace(ofAll.Replace(answer), `"phase"`, fmt.Sprintf(total, all, all/seconds, seconds, 48*i), 1))
	}
	return answers
}

// TestProgressStyles shows how each style shows an import.
func TestProgressStyles(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		width int
	}{
		{"auto-on-a-terminal", nil, 80},
		{"auto-elsewhere", nil, 0},
		{"auto-elsewhere-json", []string{"-o", "json"}, 0},
		{"auto-on-a-terminal-json", []string{"-o", "json"}, 40},
		{"tty-narrow", []string{"--progress", "tty"}, 40},
		{"tty", []string{"--progress", "tty"}, 100},
		{"plain", []string{"--progress", "plain"}, 80},
		{"json", []string{"--progress", "json"}, 80},
		{"none", []string{"--progress", "none"}, 80},
		{"quiet", []string{"-q"}, 80},
		{"quiet-json", []string{"-q", "-o", "json"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := script()
			s[statusURI] = growing()
			co := newCoordinator(t, s)
			m := newMachine(t, co)
			m.width = c.width
			args := append(importArgs[:len(importArgs):len(importArgs)], c.args...)
			code := Run(context.Background(), m.system(), args)
			if code != OK {
				t.Errorf("exit %d", code)
			}
			golden(t, "progress-"+c.name+".txt", visible(m.transcript(co, code, args...)))
		})
	}
}

// visible shows what moves the cursor of a terminal, with a line for each time that one is drawn.
func visible(text string) string {
	return strings.NewReplacer("\r\x1b[K", "\\r\\e[K\n", "\x1b", `\e`, "\r", `\r`).Replace(text)
}

// The first sign of progress is shown within a second, and then a line follows each second. A worker
// reports its first page at once, and a coordinator may wait for 400 ms before it looks at what was
// reported. Half a second is that between two polls.
func TestFirstSign(t *testing.T) {
	for _, late := range []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond} {
		for _, style := range []string{"tty", "json"} {
			for _, delay := range []time.Duration{0, 300 * time.Millisecond, 650 * time.Millisecond, 4700 * time.Millisecond, 29 * time.Second} {
				t.Run(fmt.Sprint(style, delay, late), func(t *testing.T) { firstSign(t, style, delay, late) })
			}
		}
	}
}

// firstSign watches an import whose first keys are reported after a delay, and whose status is as
// of the moment that it is answered: so long after it was asked for.
func firstSign(t *testing.T, style string, delay, late time.Duration) {
	var passed atomic.Int64 // milliseconds since the start
	answer := make(chan struct{})
	status := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"id":"i1"}`)
			return
		}
		<-answer
		since := time.Duration(passed.Load())*time.Millisecond - delay
		if since > 10*time.Second {
			fmt.Fprint(w, strings.TrimPrefix(completedJSON, "200 "))
			return
		}
		fmt.Fprintf(w, `{"phase":"running","ingested_objects":%d}`, max(0, since.Milliseconds()+1))
	}))
	defer status.Close()
	m := newMachine(t, newCoordinator(t, script()))
	m.env["RANGECTL_ENDPOINT"] = status.URL
	m.width = 80
	start := m.now
	passes := func(d time.Duration) {
		m.now = m.now.Add(d)
		passed.Store(m.now.Sub(start).Milliseconds())
	}
	sys := m.system()
	sys.Sleep = func(ctx context.Context, d time.Duration) error { passes(d); return ctx.Err() }
	left := late // until the poll that is awaited is answered
	sys.Await = func(done <-chan struct{}, most time.Duration) bool {
		if left > most {
			left -= most
			passes(most)
			return false
		}
		passes(left)
		answer <- struct{}{}
		<-done
		left = late
		return true
	}
	var shown []time.Duration // when lines with objects were
	sys.Err = writes(func(line string) {
		if strings.Contains(line, "importing") && !strings.Contains(line, "nothing listed yet") ||
			strings.Contains(line, `"status"`) && !strings.Contains(line, `"ingested_objects":0,`) {
			shown = append(shown, m.now.Sub(start))
		}
	})
	if code := Run(context.Background(), sys, append(importArgs[:len(importArgs):len(importArgs)], "--progress", style)); code != OK {
		t.Fatalf("exit %d", code)
	}
	if len(shown) < 9 || shown[0] > delay+signPoll+late || shown[0] > delay+time.Second {
		t.Fatalf("objects are reported after %v, and shown at %v", delay, shown)
	}
	for i, at := range shown[1:] {
		if at-shown[i] > drawEvery+min(late, lateAfter) {
			t.Errorf("nothing is shown between %v and %v", shown[i], at)
		}
	}
}

// writes is a writer that calls a function.
type writes func(text string)

func (w writes) Write(p []byte) (int, error) { w(string(p)); return len(p), nil }

func TestWatchWaitsAsLongAsAsked(t *testing.T) {
	var polled []time.Time
	m := newMachine(t, newCoordinator(t, nil))
	busy := true
	co := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if busy {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		} else {
			fmt.Fprint(w, strings.TrimPrefix(completedJSON, "200 "))
		}
		busy = false
		polled = append(polled, m.now)
	}))
	defer co.Close()
	m.env["RANGECTL_ENDPOINT"] = co.URL
	if code := Run(context.Background(), m.system(), []string{"status", "-w", "lakefs://demo/main", "i1"}); code != OK || len(polled) != 2 || polled[1].Sub(polled[0]) != 7*time.Second {
		t.Errorf("exit %d after polls at %v, want two that are 7s apart: %s", code, polled, m.err.String())
	}
}

// While a poll is not answered, what is shown goes on each second, and says for how long there was
// no answer. Once the poll has failed, the time counts from its beginning.
func TestProgressGoesOnWhileAPollHangs(t *testing.T) {
	for _, style := range []string{"tty", "plain", "json"} {
		t.Run(style, func(t *testing.T) {
			s := script()
			s[statusURI] = []string{runningJSON, cutOff, completedJSON}
			co := newCoordinator(t, s)
			m := newMachine(t, co)
			m.width = 80
			m.onAwait = func(n int) bool { return n >= 2 && n < 14 } // the second poll
			args := append(importArgs[:len(importArgs):len(importArgs)], "--progress", style)
			code := Run(context.Background(), m.system(), args)
			golden(t, "hangs-"+style+".txt", visible(m.transcript(co, code, args...)))
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
