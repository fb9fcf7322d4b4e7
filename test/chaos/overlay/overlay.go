// Package overlay builds programs with fault injection: points at which a process can die or
// be delayed, a wall clock that can jump, and functions with other bodies. It uses
// `go build -overlay`, so that the repository's code has no hooks.
package overlay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Func names a function or method of a package.
type Func struct {
	Dir  string // of the package, below the root of the repository
	Recv string // type of the receiver, without '*'; "" for a function
	Name string
}

// String returns the name in Go's notation.
func (f Func) String() string {
	name := filepath.Base(f.Dir) + "."
	if f.Recv != "" {
		name += f.Recv + "."
	}
	return name + f.Name
}

// Body replaces the body of a function.
type Body struct {
	Func
	Code string // statements
}

// Build describes a build. If the last three fields are zero, it builds the repository's code
// unchanged.
type Build struct {
	Root   string // of the repository
	Out    string // directory for the programs
	Points []Func // functions before and after which a process can die or wait
	Bodies []Body // functions with other bodies
	Clock  bool   // whether the wall clock can jump
}

// Run builds the programs of the packages, which are arguments of `go build` in the directory
// dir. It returns an error if a function does not exist.
func (b Build) Run(ctx context.Context, dir string, packages ...string) error {
	if err := os.MkdirAll(b.Out, 0o755); err != nil {
		return fmt.Errorf("make the directory of the programs: %w", err)
	}
	replaced, err := b.replace(ctx)
	if err != nil {
		return err
	}
	list := filepath.Join(b.Out, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return fmt.Errorf("encode the overlay: %w", err)
	}
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return fmt.Errorf("write the overlay: %w", err)
	}
	args := append([]string{"build", "-overlay", list, "-o", b.Out + "/"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

// replace writes the changed files and returns their paths, by the paths of the files that
// they replace.
func (b Build) replace(ctx context.Context) (map[string]string, error) {
	files := make(map[string][]byte) // contents by the path of the replaced file
	for _, body := range b.Bodies {
		if err := b.edit(files, body.Func, func(fn *ast.FuncDecl, at func(token.Pos) int, text []byte) []byte {
			return slices.Concat(text[:at(fn.Body.Lbrace)+1], []byte(body.Code), text[at(fn.Body.Rbrace):])
		}); err != nil {
			return nil, err
		}
	}
	for _, point := range b.Points {
		call := fmt.Sprintf(" chaosPoint(%[1]q, false); defer chaosPoint(%[1]q, true);", point)
		if err := b.edit(files, point, func(fn *ast.FuncDecl, at func(token.Pos) int, text []byte) []byte {
			return slices.Insert(slices.Clone(text), at(fn.Body.Lbrace)+1, []byte(call)...)
		}); err != nil {
			return nil, err
		}
		dir := filepath.Join(b.Root, point.Dir)
		name, err := packageName(dir)
		if err != nil {
			return nil, err
		}
		files[filepath.Join(dir, "chaos_point.go")] = []byte(strings.Replace(pointFile, "PACKAGE", name, 1))
	}
	if b.Clock {
		if err := addClock(ctx, files); err != nil {
			return nil, err
		}
	}
	return b.write(files)
}

func (b Build) write(files map[string][]byte) (map[string]string, error) {
	replaced := make(map[string]string, len(files))
	for path, text := range files {
		copied := filepath.Join(b.Out, "overlay", strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "__"))
		if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
			return nil, fmt.Errorf("make the directory of the overlay: %w", err)
		}
		if err := os.WriteFile(copied, text, 0o600); err != nil {
			return nil, fmt.Errorf("write the overlay of %s: %w", path, err)
		}
		replaced[path] = copied
	}
	return replaced, nil
}

// edit changes the file that declares the function.
func (b Build) edit(files map[string][]byte, f Func, change func(*ast.FuncDecl, func(token.Pos) int, []byte) []byte) error {
	names, err := filepath.Glob(filepath.Join(b.Root, f.Dir, "*.go"))
	if err != nil {
		return fmt.Errorf("look for %v: %w", f, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, ok := files[name]
		if !ok {
			if text, err = os.ReadFile(name); err != nil {
				return fmt.Errorf("look for %v: %w", f, err)
			}
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("look for %v: %w", f, err)
		}
		if fn := f.in(file); fn != nil {
			files[name] = change(fn, func(p token.Pos) int { return set.Position(p).Offset }, text)
			return nil
		}
	}
	return fmt.Errorf("%s has no function %v: name the function that took its place", f.Dir, f)
}

// in returns the declaration of the function in the file, or nil.
func (f Func) in(file *ast.File) *ast.FuncDecl {
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if ok && fn.Name.Name == f.Name && receiver(fn) == f.Recv && fn.Body != nil {
			return fn
		}
	}
	return nil
}

func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name
	}
	return "?"
}

func packageName(dir string) (string, error) {
	set := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		return "", fmt.Errorf("no Go files in %s: %w", dir, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.PackageClauseOnly)
		if err != nil {
			return "", fmt.Errorf("read the package of %s: %w", dir, err)
		}
		return file.Name.Name, nil
	}
	return "", fmt.Errorf("no Go files in %s", dir)
}

// addClock changes package time so that Now is shifted by the value in the environment.
// Monotonic time stays right, and so do timers and durations between two times of a process,
// as after setting the clock of a machine.
func addClock(ctx context.Context, files map[string][]byte) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("find Go: %w", err)
	}
	dir := filepath.Join(string(bytes.TrimSpace(out)), "src", "time")
	const call = "sec, nsec, mono := runtimeNow()"
	for _, name := range []string{"time.go"} {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read package time: %w", err)
		}
		if i := bytes.Index(text, []byte("func Now() Time {\n\t"+call)); i < 0 {
			return fmt.Errorf("package time of this version of Go does not read the clock by %q", call)
		}
		files[path] = bytes.ReplaceAll(text, []byte(call), []byte(call+"; sec += chaosShift(mono)"))
	}
	files[filepath.Join(dir, "chaos_clock.go")] = []byte(clockFile)
	return nil
}
