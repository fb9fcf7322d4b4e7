// Package generated checks in tests that generated documents are current. With the flag -update
// it writes them.
package generated

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated files instead of comparing them")

// File checks that the content of a file is want.
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
		t.Errorf("%s is not current; run the test with -update to write this:\n%s", path, want)
	}
}

// The lines before and after the generated part of a file.
const (
	begin = "<!-- Generated from "
	end   = "<!-- End of what is generated. -->\n"
)

// Part checks that the generated part of a file is want. That part is the lines between
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
		t.Fatalf("%s has no generated part", path)
	}
	File(t, path, head+begin+from+"\n"+want+end+tail)
}
