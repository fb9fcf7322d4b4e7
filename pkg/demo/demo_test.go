package demo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/ctl"
	"github.com/rangefleet/rangefleet/pkg/demo"
)

// tree makes a directory of n files.
func tree(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("it's dir %d", i%7), fmt.Sprintf("file-%05d", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newDemo returns a demo whose surroundings are hostile, and what it says.
func newDemo(t *testing.T, dirs ...string) (d demo.Demo, said *bytes.Buffer) {
	t.Helper()
	t.Setenv("RANGEFLEET_NATS_URL", "nats://127.0.0.1:1")
	t.Setenv("RANGECTL_ENDPOINT", "http://127.0.0.1:1")
	said = new(bytes.Buffer)
	sys := ctl.OS()
	sys.Out, sys.Err = said, said
	sys.Width = func() int { return 0 }
	return demo.Demo{Dirs: dirs, Data: t.TempDir(), System: sys, Log: slog.New(slog.DiscardHandler)}, said
}

func TestRun(t *testing.T) {
	first, second := tree(t, 1500), t.TempDir()
	if err := os.WriteFile(filepath.Join(second, "zz-last"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, said := newDemo(t, first, second)
	d.Keep = true
	if err := d.Run(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, want := range []string{
		`\$ rangectl import --to lakefs://demo/main`, `Objects +1,501\n`, `Metarange ID +[0-9a-f]{64}\n`,
		`Commit [0-9a-f]{64}\n`, `prefix +it's dir 0/\n`, ` it's dir 0/file-00000\n`, ` zz-last\n`, `rm -r`,
	} {
		if !regexp.MustCompile(want).Match(said.Bytes()) {
			t.Errorf("nothing said matches %q", want)
		}
	}
	files, err := filepath.Glob(filepath.Join(d.Data, "metadata", "_lakefs", "*"))
	if err != nil || len(files) < 3 {
		t.Errorf("the namespace holds %d files, want a range, its metarange and the empty metarange: %v", len(files), err)
	}
	if t.Failed() {
		t.Log(said)
	}
}

func TestRunInterrupted(t *testing.T) {
	d, said := newDemo(t, tree(t, 10))
	ctx, cancel := context.WithCancel(t.Context())
	d.System.Out = writer(func(p []byte) {
		if strings.Contains(string(p), "rangectl import") {
			cancel()
		}
	})
	if err := d.Run(ctx); !errors.Is(err, demo.ErrInterrupted) {
		t.Errorf("error is %v, want %v", err, demo.ErrInterrupted)
	}
	if strings.Contains(said.String(), "goes on") {
		t.Errorf("the import ended with the demo, but this was said:\n%s", said)
	}
}

func TestRunReportsWhyItCannotStart(t *testing.T) {
	d, said := newDemo(t, filepath.Join(t.TempDir(), "absent"))
	if err := d.Run(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want one about the directory\n%s", err, said)
	}
}

func TestSize(t *testing.T) {
	dir := tree(t, 20)
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	files, bytes, err := demo.Size(t.Context(), []string{dir, dir})
	if err != nil || files != 40 || bytes < 40 {
		t.Errorf("got %d files of %d bytes, %v", files, bytes, err)
	}
}

func TestGoTrees(t *testing.T) {
	dirs, err := demo.GoTrees(t.Context())
	if err != nil || len(dirs) == 0 {
		t.Fatalf("got %v, %v", dirs, err)
	}
	if _, err := os.Stat(filepath.Join(dirs[0], "src", "go.mod")); err != nil {
		t.Errorf("the first directory is no Go distribution: %v", err)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }
