package ctl

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// noWorkerJSON is the status of an import that no worker takes.
const noWorkerJSON = `200 {"completed":false,"ingested_objects":0,"phase":"running","ranges":0,"partitions":1,` +
	`"problem":"no worker is heard of: start workers, or check that they reach NATS and are of this version","update_time":"2026-01-02T03:04:05Z"}`

// TestMistakes shows what a user is told after the usual mistakes.
func TestMistakes(t *testing.T) {
	const from, to = "s3://lake/raw/", "lakefs://demo/main"
	for _, c := range []struct {
		name string
		args []string
		code ExitCode
	}{
		{"repository", []string{"import", "--from", from, "--to", "lakefs://dmeo/main/raw/"}, Failed},
		{"repository-only", []string{"branch", "list", "pond"}, Failed},
		{"branch", []string{"import", "--from", from, "--to", "lakefs://demo/nigthly"}, Failed},
		{"branch-of-a-list", []string{"ls", "lakefs://demo/master"}, Failed},
		{"branch-elsewhere", []string{"status", "lakefs://demo/nightly", "i3"}, Failed},
		{"no-scheme", []string{"ls", "demo/main/raw/"}, Usage},
		{"no-branch", []string{"import", "--from", from, "--to", "lakefs://demo"}, Usage},
		{"no-flags", []string{"import", from, to}, Usage},
		{"no-flag-before-the-destination", []string{"import", "--from", from, to}, Usage},
		{"flags-swapped", []string{"import", "--from", to, "--to", from}, Usage},
		{"arguments-swapped", []string{"status", "i1", to}, Usage},
		{"no-id", []string{"status", to}, Usage},
		{"a-path-apart", []string{"ls", to, "raw/"}, Usage},
		{"command", []string{"stauts", to, "i1"}, Usage},
		{"command-of-a-group", []string{"branch", "lst", "lakefs://demo"}, Usage},
		{"command-of-another-group", []string{"repo", "ls"}, Usage},
		{"version", []string{"version"}, Usage},
		{"flag", []string{"import", "--form", from, "--to", to}, Usage},
		{"flags-missing", []string{"import"}, Usage},
		{"number", []string{"imports", "--amount", "many"}, Usage},
		{"negative-number", []string{"imports", "--amount", "-1"}, Usage},
		{"source-without-scheme", []string{"import", "--from", "/data/raw", "--to", to}, Usage},
		{"endpoint-without-scheme", []string{"repo", "list", "--endpoint", "localhost:8000"}, Usage},
		{"bucket", []string{"import", "--from", "s3://laek/raw/", "--to", "lakefs://demo/bucket"}, Failed},
		{"no-worker", []string{"import", "--from", from, "--to", "lakefs://demo/idle"}, OK},
		{"down", []string{"repo", "list"}, Failed},
		{"down-before-an-import", []string{"import", "--from", from, "--to", to}, Unknown},
	} {
		for _, output := range []string{"text", "json"} {
			t.Run(c.name+"/"+output, func(t *testing.T) {
				s := script()
				for _, branch := range []string{"bucket", "idle"} {
					s["POST /repositories/demo/branches/"+branch+"/import"] = []string{`202 {"id":"i1"}`}
				}
				s["GET /repositories/demo/branches/bucket/import?id=i1"] = []string{strings.Replace(failedJSON, "s3://lake", "s3://laek", 1)}
				s["GET /repositories/demo/branches/idle/import?id=i1"] = []string{noWorkerJSON, noWorkerJSON, completedJSON}
				co := newCoordinator(t, s)
				m := newMachine(t, co)
				if strings.HasPrefix(c.name, "down") {
					co.Close()
				}
				args := slices.Clone(c.args)
				if output == "json" {
					args = append(args, "-o", "json")
				}
				code := Run(context.Background(), m.system(), args)
				if code != c.code {
					t.Errorf("exit %d, want %d", code, c.code)
				}
				golden(t, "mistake-"+c.name+"."+output, m.transcript(co, code, args...))
			})
		}
	}
}

// A hint costs no time if the coordinator does not answer it, and nothing but the hint.
func TestAHintIsLeftOut(t *testing.T) {
	s := script()
	s["GET /repositories?amount=1000"] = []string{cutOff}
	s["GET /imports?amount=1000"] = []string{`503 {"message":"no leader"}`}
	for _, line := range []string{"ls lakefs://gone/main", "status lakefs://gone/main nope"} {
		co := newCoordinator(t, s)
		m := newMachine(t, co)
		if code := Run(context.Background(), m.system(), strings.Fields(line)); code != Failed || m.slept > 0 {
			t.Errorf("%s: exit %d after %d sleeps", line, code, m.slept)
		}
		if strings.Contains(m.err.String(), "did you mean") || strings.Contains(m.err.String(), "no leader") {
			t.Errorf("%s: said %q", line, m.err.String())
		}
	}
}

func TestHintOfTheDefaultAddress(t *testing.T) {
	for endpoint, want := range map[string]bool{defaultEndpoint: true, "http://away:8000": false} {
		told, ok := errors.AsType[*advised](hinted(&client.Unreachable{Endpoint: endpoint, Err: errors.New("refused")}))
		if ok != want || ok && !strings.Contains(told.hint, "--endpoint") {
			t.Errorf("%s: hint %v", endpoint, told)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"main", "nightly", "release-1", "release-2", "dev"}
	for wrong, want := range map[string]string{
		"mian": "main", "Main": "main", "man": "main", "nihgtly": "nightly", "release1": "release-1", "release-3": "release-1",
		"night": "nightly", "de": "dev", "x": "", "master": "", "production": "", "": "",
	} {
		if got := nearest(wrong, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", wrong, got, want)
		}
	}
}

// One slip is one slip, wherever it is, and the number of slips is the same both ways.
func TestSlips(t *testing.T) {
	r := seeded.Rand(t)
	letters := []rune("abcdü")
	for range 1000 {
		text := make([]rune, 1+r.IntN(8))
		for i := range text {
			text[i] = letters[r.IntN(len(letters))]
		}
		i := r.IntN(len(text))
		dropped := string(slices.Delete(slices.Clone(text), i, i+1))
		other := slices.Clone(text)
		other[i] = 'x'
		for _, changed := range []string{dropped, string(other), string(slices.Insert(slices.Clone(text), i, 'x'))} {
			if got := slips(string(text), changed); got != 1 || slips(changed, string(text)) != 1 {
				t.Fatalf("slips(%q, %q) = %d, want 1", string(text), changed, got)
			}
		}
		if i > 0 && text[i] != text[i-1] {
			swapped := slices.Clone(text)
			swapped[i], swapped[i-1] = text[i-1], text[i]
			if got := slips(string(text), string(swapped)); got != 1 {
				t.Fatalf("slips(%q, %q) = %d, want 1", string(text), string(swapped), got)
			}
		}
	}
}
