package ctl

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// jsonLines returns the lines of JSON of a transcript: what was written to stdout and to stderr.
func jsonLines(t *testing.T, path string) (stdout, stderr []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	expect.NoError(t, err)
	_, text2, _ := strings.Cut(string(text), "\n") // without the command
	body, _, _ := strings.Cut(text2, "--- exit ")
	out, errs, _ := strings.Cut(body, "--- stderr\n")
	parse := func(lines string) (all []map[string]any) {
		for line := range strings.Lines(lines) {
			var object map[string]any
			if err := json.Unmarshal([]byte(line), &object); err != nil {
				t.Errorf("%s: %q is no line of JSON: %v", path, line, err)
				continue
			}
			all = append(all, object)
		}
		return all
	}
	return parse(out), parse(errs)
}

// jsonTranscripts are the transcripts of commands with --output json.
func jsonTranscripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	expect.NoError(t, err)
	return append(files, filepath.Join("testdata", "ends-failed-json.txt"), filepath.Join("testdata", "progress-auto-elsewhere-json.txt"), filepath.Join("testdata", "progress-quiet-json.txt"))
}

// TestJSONLines checks what the help topic "output" says of all lines that any test shows.
func TestJSONLines(t *testing.T) {
	topic := outputTopic().Long
	types := make(map[string]string) // of fields
	for _, path := range jsonTranscripts(t) {
		stdout, stderr := jsonLines(t, path)
		for i, line := range slices.Concat(stdout, stderr) {
			kind, _ := line["message_type"].(string)
			onStderr := i >= len(stdout)
			if kind == "" || !strings.Contains(topic, kind) {
				t.Errorf("%s: the topic does not know the type %q", path, kind)
			}
			if (kind == "notice" || kind == "error") != onStderr && kind != "status" {
				t.Errorf("%s: a line of type %s is on the wrong stream", path, kind)
			}
			if kind != "source" { // which is as the API has it, nested
				checkFields(t, path, "", line, types)
			}
		}
		failed := !strings.Contains(readFile(t, path), "\n--- exit 0\n")
		ends := len(stderr) > 0 && stderr[len(stderr)-1]["message_type"] == "error"
		if failed != ends {
			t.Errorf("%s: failed is %v, but an error at the end %v", path, failed, ends)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	expect.NoError(t, err)
	return string(text)
}

// checkFields checks the units of fields, and that a name always means the same type.
func checkFields(t *testing.T, path, within string, object map[string]any, types map[string]string) {
	t.Helper()
	for name, value := range object {
		text, isText := value.(string)
		_, isNumber := value.(float64)
		switch {
		case within == "metadata": // it is the user's
			continue
		case strings.HasSuffix(name, "_seconds") != isSeconds(name, isNumber):
			t.Errorf("%s: %s is %v, want a number of seconds", path, name, value)
		case isTime(name):
			if at, err := time.Parse(time.RFC3339, text); err != nil || !isText || at.Location() != time.UTC {
				t.Errorf("%s: %s is %v, want a time in UTC", path, name, value)
			}
		case name == "meta_range_id" || name == "updated" || name == "created":
			t.Errorf("%s: %s is another spelling", path, name)
		}
		is := fmt.Sprintf("%T", value)
		if before, known := types[name]; known && before != is {
			t.Errorf("%s: %s is %s, and elsewhere %s", path, name, is, before)
		}
		types[name] = is
		if inner, ok := value.(map[string]any); ok {
			checkFields(t, path, name, inner, types)
		}
	}
}

func isSeconds(name string, isNumber bool) bool {
	return strings.HasSuffix(name, "_seconds") && isNumber
}

func isTime(name string) bool {
	return strings.HasSuffix(name, "_date") || strings.HasSuffix(name, "_time") || name == "mtime" || name == "since"
}

// The errors of a command line that ends before its output is known are JSON, too.
func TestWantsJSON(t *testing.T) {
	for line, want := range map[string]bool{
		"ls -o json": true, "ls --output json": true, "ls --output=json x": true, "ls -ojson": true, "ls -o=json": true, "import --progress json": true,
		"import --progress=json": true, "ls": false, "ls -o text": false, "ls json": false, "ls -o": false, "ls -- -o json": false, "import --progress plain": false,
	} {
		if got := wantsJSON(strings.Fields(line)); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}
