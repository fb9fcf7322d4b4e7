package deploy_test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/rangefleet/rangefleet/internal/canary"
)

// image is the image that the Dockerfile describes, built without Docker: the tests follow its
// few, simple steps.
type image struct {
	source   string // directory of the build context
	root     string // directory of its file system
	env      []string
	user     uint32
	command  []string
	exposed  []string
	warnings []string // of Docker's linter
}

var programs = []string{"coordinator", "rangectl", "worker"}

// theImage builds the image once for all tests, in a directory that TestMain removes.
var theImage = sync.OnceValues(func() (*image, error) {
	dir, err := os.MkdirTemp("", "rangefleet-image-")
	if err != nil {
		return nil, err
	}
	cleanups = append(cleanups, func() error { return os.RemoveAll(dir) })
	return buildImage(dir, repositoryTo)
})

// nextVersion is the version of the programs of nextImage. Those of theImage have none.
const nextVersion = "v1.2.3"

// nextImage is the image of a release, built once for all tests: its programs take their version from
// the tag of the commit.
var nextImage = sync.OnceValues(func() (*image, error) {
	dir, err := os.MkdirTemp("", "rangefleet-next-")
	if err != nil {
		return nil, err
	}
	cleanups = append(cleanups, func() error { return os.RemoveAll(dir) })
	return buildImage(dir, releaseTo, "GOFLAGS=-buildvcs=true")
})

var cleanups []func() error

func TestMain(m *testing.M) {
	canary.Watch()
	code := m.Run()
	for _, clean := range cleanups {
		if err := clean(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

func builtImage(t *testing.T) *image { return built(t, theImage) }

func built(t *testing.T, image func() (*image, error)) *image {
	t.Helper()
	i, err := image()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// program returns the path of a program of the image.
func (i *image) program(name string) string { return filepath.Join(i.root, "usr/local/bin", name) }

// buildImage follows the Dockerfile, below dir. fill fills the directory of the build context. env is of
// the build.
func buildImage(dir string, fill func(to string) error, env ...string) (*image, error) {
	i := &image{source: filepath.Join(dir, "src"), root: filepath.Join(dir, "root")}
	stages, err := i.parse()
	if err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "out")
	for _, d := range []string{i.source, out, i.root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := fill(i.source); err != nil {
		return nil, err
	}
	for _, c := range stages[0].Commands {
		run, ok := c.(*instructions.RunCommand)
		if !ok {
			continue
		}
		cmd := exec.Command("sh", "-ec", strings.ReplaceAll(strings.Join(run.CmdLine, " "), "/out/", out+"/"))
		cmd.Dir = i.source
		cmd.Env = append(os.Environ(), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH)
		cmd.Env = append(cmd.Env, env...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", run, err, text)
		}
	}
	return i, i.assemble(stages[1], out)
}

// parse parses the Dockerfile.
func (i *image) parse() ([]instructions.Stage, error) {
	text, err := os.ReadFile(filepath.Join(deployed, "Dockerfile"))
	if err != nil {
		return nil, err
	}
	tree, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for _, w := range tree.Warnings {
		i.warnings = append(i.warnings, w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) {
		i.warnings = append(i.warnings, rule+": "+message)
	}})
	stages, _, err := instructions.Parse(tree.AST, lint)
	if err == nil && (len(stages) != 2 || stages[1].BaseName != "scratch") {
		err = fmt.Errorf("want two stages, the second one from scratch, got %d", len(stages))
	}
	return stages, err
}

// assemble runs the commands of the last stage.
func (i *image) assemble(stage instructions.Stage, out string) error {
	for _, c := range stage.Commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			if err := i.copy(c, out); err != nil {
				return err
			}
		case *instructions.EnvCommand:
			for _, v := range c.Env {
				i.env = append(i.env, v.Key+"="+v.Value)
			}
		case *instructions.UserCommand:
			user, err := parseUser(c.User)
			if err != nil {
				return err
			}
			i.user = user
		case *instructions.CmdCommand:
			i.command = c.CmdLine
		case *instructions.ExposeCommand:
			i.exposed = c.Ports
		case *instructions.VolumeCommand:
		default:
			return fmt.Errorf("the test does not support the command %s", c.Name())
		}
	}
	return nil
}

// parseUser parses user:group. Both must be the same number, since there is no /etc/passwd.
func parseUser(text string) (uint32, error) {
	user, group, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(user, 10, 32)
	if err != nil || user != group {
		return 0, fmt.Errorf("user %q: want the same number twice", text)
	}
	return uint32(n), nil
}

// copy copies files that the build stage made, or files of its system.
func (i *image) copy(c *instructions.CopyCommand, out string) error {
	for _, from := range c.SourcePaths {
		if made, ok := strings.CutPrefix(from, "/out"); ok {
			from = out + made
		}
		to := filepath.Join(i.root, c.DestPath)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := exec.Command("cp", "-rLT", from, to).Run(); err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
		if c.Chown == "" {
			continue
		}
		user, err := parseUser(c.Chown)
		if err != nil {
			return err
		}
		if err := os.Chown(to, int(user), int(user)); err != nil {
			return err
		}
	}
	return nil
}

// repositoryTo copies the repository as a build context: the files that git tracks or would
// track. In a copy without git, it copies all files.
func repositoryTo(to string) error {
	cmd := exec.Command("sh", "-ec", `cd ../..
		if [ -e .git ]; then git ls-files -z --cached --others --exclude-standard; else find . -type f -print0; fi |
		tar --null --ignore-failed-read -cf - -T - | tar -xf - -C "$1"`, "sh", to)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("copy the repository: %w\n%s", err, text)
	}
	return nil
}

// releaseTo copies the repository into a new one, whose only commit has the tag nextVersion.
func releaseTo(to string) error {
	if err := repositoryTo(to); err != nil {
		return err
	}
	cmd := exec.Command("sh", "-ec", `git init -q && git add -A && git -c user.name=test -c user.email=test@example.com commit -q -m release && git tag "$1"`, "sh", nextVersion)
	cmd.Dir = to
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a release: %w\n%s", err, text)
	}
	return nil
}

// The image holds the programs and the files that they need, and no others.
func TestImage(t *testing.T) {
	i := builtImage(t)
	for _, w := range i.warnings {
		t.Error(w)
	}
	var files []string
	err := filepath.WalkDir(i.root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, i.root))
		}
		return err
	})
	want := []string{"/etc/ssl/certs/ca-certificates.crt", "/usr/local/bin/coordinator", "/usr/local/bin/rangectl", "/usr/local/bin/worker"}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("the image has %q, %v; want %q", files, err, want)
	}
	for _, name := range programs {
		f, err := elf.Open(i.program(name))
		if err != nil {
			t.Fatal(err)
		}
		if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 || f.Section(".interp") != nil {
			t.Errorf("%s is not statically linked: %v, libraries %q", name, err, libraries)
		}
		_ = f.Close()
	}
	if i.user == 0 {
		t.Error("the image runs as root")
	}
}

// Two builds in different directories give the same programs.
func TestImageIsReproducible(t *testing.T) {
	first := builtImage(t)
	again, err := buildImage(t.TempDir(), func(to string) error { return os.CopyFS(to, os.DirFS(first.source)) })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range programs {
		a, errA := os.ReadFile(first.program(name))
		b, errB := os.ReadFile(again.program(name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs between two builds: %v, %v, %d and %d bytes", name, errA, errB, len(a), len(b))
		}
	}
}

// The programs run in the image without privileges.
func TestImageRuns(t *testing.T) {
	i := builtImage(t)
	for _, args := range [][]string{{"worker", "config", "print"}, {"coordinator", "config", "print"}, {"rangectl", "--version"}} {
		if text, err := i.run(args, "RANGEFLEET_NATS_URL=nats://127.0.0.1:1").CombinedOutput(); err != nil {
			t.Errorf("%q: %v\n%s", args, err, text)
		}
	}
	if text, err := exec.CommandContext(t.Context(), built(t, nextImage).program("rangectl"), "--version").CombinedOutput(); err != nil || !strings.Contains(string(text), nextVersion) {
		t.Errorf("the program of the release %s has the version %s: %v", nextVersion, text, err)
	}
	address := freeAddress(t)
	start(t, func() *exec.Cmd { return i.run(i.command, "RANGEFLEET_LISTEN="+address) })
	serves(t, "the image's command serves", "http://"+address+"/_ready")
	for _, variable := range []string{"RANGEFLEET_LISTEN", "RANGEFLEET_METRICS_LISTEN"} {
		at := slices.IndexFunc(i.env, func(e string) bool { return strings.HasPrefix(e, variable+"=:") })
		if at < 0 || !slices.Contains(i.exposed, strings.TrimPrefix(i.env[at], variable+"=:")) {
			t.Errorf("%s in %q is not one of the ports %q", variable, i.env, i.exposed)
		}
	}
}

// run returns a command that runs in the image.
func (i *image) run(args []string, env ...string) *exec.Cmd {
	return &exec.Cmd{
		Path: "/usr/local/bin/" + args[0], Args: args, Dir: "/", Env: append(slices.Clone(i.env), env...),
		SysProcAttr: &syscall.SysProcAttr{Chroot: i.root, Credential: &syscall.Credential{Uid: i.user, Gid: i.user}},
	}
}
