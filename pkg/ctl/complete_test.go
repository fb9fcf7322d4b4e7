package ctl

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// completionScript is what the coordinator answers to completions.
func completionScript() map[string][]string {
	s := script()
	s["GET /repositories?amount=1000&prefix=de"] = []string{page(`{"id":"demo"}`)}
	s["GET /repositories/demo/branches?amount=1000&prefix=n"] = []string{page(`{"id":"nightly"}`)}
	s["GET /imports?amount=1000&repository=demo"] = s["GET /imports?amount=1000"]
	s["GET /auth/users?amount=1000&prefix=a"] = []string{page(`{"id":"admin"}`, `{"id":"ann"}`)}
	return s
}

func TestCompletion(t *testing.T) {
	const (
		names  = ":36" // only names, in this order
		goesOn = ":38" // more may follow a name
	)
	for _, c := range []struct{ typed, want string }{
		{"ls ", "lakefs://demo/ lakefs://other/ " + goesOn},
		{"ls lake", "lakefs://demo/ lakefs://other/ " + goesOn},
		{"ls lakefs://de", "lakefs://demo/ " + goesOn},
		{"ls lakefs://demo/", "lakefs://demo/main lakefs://demo/nightly " + goesOn},
		{"ls s3://", goesOn},
		{"ls lakefs://demo/main ", names},
		{"log lakefs://demo/n", "lakefs://demo/nightly " + names},
		{"repo get ", "lakefs://demo lakefs://other " + names},
		{"branch list lakefs://de", "lakefs://demo " + names},
		{"status lakefs://demo/main ", "i4\trunning, s3://lake/raw/ i3\tcompleted, s3://lake/raw/ i2\tfailed, s3://lake/raw/ " + names},
		{"status lakefs://demo/nightly ", names},
		{"cancel not-a-place ", names},
		{"branch revert lakefs://demo/main main n", "nightly " + names},
		{"branch create lakefs://demo/new --source n", "nightly " + names},
		{"branch create --source ", names},
		{"import --to lakefs://demo/n", "lakefs://demo/nightly " + goesOn},
		{"import --progress ", "auto tty plain json none :4"},
		{"imports --phase ", "running committing completed failed canceled previewed :4"},
		{"imports -o ", "text json :4"},
		{"auth user delete a", "admin ann " + names},
		{"auth key revoke ann ", "RF1 RF2 " + names},
		{"inspect lakefs://demo/n", "lakefs://demo/nightly " + names},
		{"inspect ./x", ":0"},
		{"completion ", "bash zsh fish :4"},
		{"log lakefs://gone/", names},
	} {
		t.Run(c.typed, func(t *testing.T) {
			co := newCoordinator(t, completionScript())
			m := newMachine(t, co)
			if code := Run(context.Background(), m.system(), append([]string{"__complete"}, strings.Split(c.typed, " ")...)); code != OK {
				t.Errorf("exit %d", code)
			}
			got := strings.ReplaceAll(strings.TrimSpace(m.out.String()), "\n", " ")
			if got != c.want {
				t.Errorf("completed to %q, want %q", got, c.want)
			}
		})
	}
}

// A completion without an answer is silent, and tries once.
func TestCompletionWithoutAnAnswer(t *testing.T) {
	for name, answer := range map[string]string{"outage": cutOff, "refused": `401 {"message":"error authenticating request"}`, "busy": `503 {"message":"no leader"}`} {
		t.Run(name, func(t *testing.T) {
			co := newCoordinator(t, map[string][]string{"GET /repositories?amount=1000": {answer}})
			m := newMachine(t, co)
			code := Run(context.Background(), m.system(), []string{"__complete", "ls", ""})
			said := strings.TrimSpace(m.err.String())
			if code != OK || m.out.String() != ":38\n" || strings.Count(said, "\n") > 0 || !strings.HasPrefix(said, "Completion ended with directive") {
				t.Errorf("exit %d, wrote %q, and %q", code, m.out.String(), said)
			}
			if len(co.seen()) != 1 || m.slept > 0 {
				t.Errorf("asked %q, and slept %d times", co.seen(), m.slept)
			}
		})
	}
	t.Run("no settings", func(t *testing.T) {
		m := newMachine(t, newCoordinator(t, nil))
		delete(m.env, envSecret)
		if code := Run(context.Background(), m.system(), []string{"__complete", "ls", ""}); code != OK || m.out.String() != ":36\n" {
			t.Errorf("exit %d, wrote %q", code, m.out.String())
		}
	})
}

// A completion does not wait for a coordinator that hangs.
func TestCompletionEndsInTime(t *testing.T) {
	m := newMachine(t, newCoordinator(t, nil))
	a := &app{sys: m.system()}
	ctx, cancel, _, err := a.aside(t.Context())
	defer cancel()
	expect.NoError(t, err)
	end, ok := ctx.Deadline()
	if left := time.Until(end); !ok || left > asideWithin {
		t.Errorf("the deadline is in %v, want at most %v", left, asideWithin)
	}
}

// The scripts are accepted by the shells that are here.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			m := newMachine(t, newCoordinator(t, nil))
			if code := Run(context.Background(), m.system(), []string{"completion", shell}); code != OK || !strings.Contains(m.out.String(), "__complete") {
				t.Fatalf("exit %d: %s", code, m.err.String())
			}
			path, err := exec.LookPath(shell)
			if err != nil {
				return // its syntax is not checked here
			}
			check := exec.CommandContext(t.Context(), path, "-n")
			check.Stdin = strings.NewReader(m.out.String())
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s -n: %v: %s", shell, err, out)
			}
		})
	}
	m := newMachine(t, newCoordinator(t, nil))
	if code := Run(context.Background(), m.system(), []string{"completion", "tcsh"}); code != Usage {
		t.Errorf("exit %d for an unknown shell, want %d", code, Usage)
	}
}

func TestParameters(t *testing.T) {
	for use, want := range map[string][]parameter{
		"login":                            nil,
		"delete lakefs://repository --yes": {{word: "lakefs://repository"}},
		"revert lakefs://repository/branch REF...":            {{word: "lakefs://repository/branch"}, {word: "REF", repeated: true}},
		"imports [lakefs://repository]":                       {{word: "lakefs://repository", optional: true}},
		"doctor [s3://bucket[/prefix]]":                       {{word: "s3://bucket[/prefix]", optional: true}},
		"verify lakefs://repository/ref[/path] [--from URI]":  {{word: "lakefs://repository/ref[/path]"}},
		"revoke USER {SESSION | --all}":                       {{word: "USER"}, {word: "SESSION", optional: true}},
		"create lakefs://repository/branch --source REF":      {{word: "lakefs://repository/branch"}},
		"import --from URI [--from URI]... --to lakefs://r/b": nil,
	} {
		if got := parameters(use); !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", use, got, want)
		}
	}
}
