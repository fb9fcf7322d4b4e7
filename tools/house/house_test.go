package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	got, err := run("testdata/tree", "testdata/exceptions.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`pkg/bare/bare.go:1: comment pkg/bare: no doc comment starts with "Package bare "`,
		`internal/rig/rig.go:21: methods internal/rig.Crowded: 21 methods `,
		`internal/rig/rig_test.go:5: methods internal/rig.bench: `,
		`pkg/shelf/shelf.go:18: unused pkg/shelf.Dust: the exported type `,
		`pkg/shelf/shelf.go:48: unused pkg/shelf.Limit: the exported name `,
		`pkg/shelf/shelf.go:24: unused pkg/shelf.Shelf.Sort: the exported method `,
		`pkg/shelf/shelf.go:10: unused pkg/shelf.Shelf.Width: the exported field `,
		`testdata/exceptions.txt:4: the exception unused pkg/shelf.Shelf.Gone is not needed: remove it`,
	}
	for i, line := range got {
		if i >= len(want) || !strings.HasPrefix(line, want[i]) {
			t.Errorf("finding %d is %s", i, line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d findings, want %q", len(got), want)
	}
}

func TestExceptionsNeedAReason(t *testing.T) {
	for _, line := range []string{"unused pkg/a.B", "unused pkg/a.B: ", "unused : why", "other pkg/a.B: why", "unused"} {
		if _, err := parseExceptions("file", "\n"+line); err == nil || !strings.HasPrefix(err.Error(), "file:2: want ") {
			t.Errorf("%q: %v", line, err)
		}
	}
}
