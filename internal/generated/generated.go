// Package generated holds generated documents against what generates them, for tests;
// with the flag -update it writes them instead.
package generated

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

// File wants a file to be that text.
func File(t testing.TB, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil { //nolint:gosec // a document of the repository
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what it is generated from; run the test with -update to write:\n%s", path, want)
	}
}

// Lines around what is generated of a file that somebody else writes.
const (
	begin = "<!-- Generated from "
	end   = "<!-- End of what is generated. -->\n"
)

// Part wants the generated part of a file to be that text: what lies between the lines
// "<!-- Generated from ... -->" and "<!-- End of what is generated. -->".
func Part(t testing.TB, path, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begins := strings.Cut(string(text), begin)
	from, rest, named := strings.Cut(rest, "\n")
	_, tail, ends := strings.Cut(rest, end)
	if !begins || !named || !ends {
		t.Fatalf("%s has no place for what is generated", path)
	}
	File(t, path, head+begin+from+"\n"+want+end+tail)
}
