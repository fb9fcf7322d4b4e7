package demo_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/ctl"
)

// envCommand makes the test binary rangectl.
const envCommand = "RANGEFLEET_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(envCommand) != "" {
		os.Exit(int(ctl.Run(context.Background(), ctl.OS(), os.Args[1:])))
	}
	os.Exit(m.Run())
}

// bashCompletion is a part of the package bash-completion, which the script for bash needs.
const bashCompletion = "/usr/share/bash-completion/bash_completion"

// shell is how a line is typed in a shell that has read the completion script.
type shell struct {
	name  string
	needs string // a file that must exist beside the program
	// script returns what the shell is given, to complete the last word of a line and to run it.
	script func(line string) string
	args   []string
}

var shells = []shell{
	{"bash", bashCompletion, func(line string) string {
		return "source " + bashCompletion + "\nsource <(rangectl completion bash)\n" + line + "\t\n"
	}, []string{"--norc", "--noprofile", "-i"}},
	{"zsh", "", func(line string) string { // which completes on terminals only
		return `zmodload zsh/zpty
zpty typed "zsh -f -i"
zpty -w typed "PS1=; autoload -Uz compinit; compinit -u -D; source <(rangectl completion zsh); compdef _rangectl rangectl"
zpty -w typed "` + line + `"$'\t'
zpty -w typed exit
while zpty -r typed shown; do print -r -- $shown; done
`
	}, []string{"-f"}},
	{"fish", "", func(line string) string { // which completes on terminals only, but says what it would complete to
		words := strings.Fields(line)
		before := strings.Join(words[:len(words)-1], " ")
		return "rangectl completion fish | source\n" + before + " (complete -C '" + line + "' | string split -f 1 \\t)\n"
	}, []string{"--no-config"}},
}

// Each shell completes names that a coordinator knows: a repository, a branch, an import and a flag.
func TestShellsComplete(t *testing.T) {
	data, source := t.TempDir(), tree(t, 30)
	l := startLive(t, data, source)
	if code, _, errs := l.run("repo create lakefs://lake local://" + data + "/lake"); code != ctl.OK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	id := l.imports(source, 30)
	bin := t.TempDir()
	self, err := os.Executable()
	expect.NoError(t, err)
	command := fmt.Sprintf("#!/bin/sh\ncase $1 in\n__complete | completion) %s=1 exec '%s' \"$@\" ;;\nesac\necho \"RAN <$*>\"\n", envCommand, self)
	expect.NoError(t, os.WriteFile(filepath.Join(bin, "rangectl"), []byte(command), 0o700))
	for _, sh := range shells {
		t.Run(sh.name, func(t *testing.T) {
			for typed, want := range map[string]string{
				"rangectl ls lakefs://la":                       "RAN <ls lakefs://lake/>",
				"rangectl log lakefs://lake/m":                  "RAN <log lakefs://lake/main>",
				"rangectl status lakefs://lake/main " + id[:12]: "RAN <status lakefs://lake/main " + id + ">",
				"rangectl auth user delete ad":                  "RAN <auth user delete admin>",
				"rangectl imports --phase prev":                 "RAN <imports --phase previewed>",
			} {
				if out := sh.run(t, l, bin, typed); !strings.Contains(out, want) {
					t.Errorf("%s, completed, is to be %s: %q", typed, want, out)
				}
			}
		})
	}
}

// run completes a line and runs it, and returns what the shell writes.
func (sh shell) run(t *testing.T, l *live, bin, line string) string {
	t.Helper()
	program, err := exec.LookPath(sh.name)
	if err == nil && sh.needs != "" {
		_, err = os.Stat(sh.needs)
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, sh.args...)
	home := t.TempDir()
	cmd.Env = []string{
		"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + home, "TERM=dumb", "RANGECTL_CONFIG=" + filepath.Join(home, "none.yaml"),
		"RANGECTL_ENDPOINT=" + l.info.API, "RANGECTL_ACCESS_KEY_ID=" + l.info.AccessKeyID, "RANGECTL_SECRET_ACCESS_KEY=" + l.info.SecretAccessKey,
	}
	cmd.Stdin = strings.NewReader(sh.script(line))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", sh.name, err, out)
	}
	return string(out)
}
