package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// repository holds the packages of all its modules, including tests.
type repository struct {
	root     string
	packages []*packages.Package
}

const mode = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
	packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedForTest

// load reads every module below root.
func load(root string) (*repository, error) {
	modules, err := modules(root)
	if err != nil {
		return nil, err
	}
	r := &repository{root: root}
	for _, dir := range modules {
		loaded, err := packages.Load(&packages.Config{Mode: mode, Dir: dir, Tests: true}, "./...", "encoding", "fmt") // with interfaces that packages implement without importing them
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", dir, err)
		}
		// Of a module whose go.mod is out of date, the go command may list nothing, without an error.
		if !slices.ContainsFunc(loaded, func(p *packages.Package) bool { return len(p.Syntax) > 0 && strings.Contains(p.PkgPath, "/") }) {
			return nil, fmt.Errorf("load %s: no packages: is its go.mod tidy?", dir)
		}
		for _, p := range loaded {
			var errs []error
			for _, e := range p.Errors {
				errs = append(errs, e)
			}
			if err := errors.Join(errs...); err != nil {
				return nil, fmt.Errorf("load %s: %w", p.ID, err)
			}
			if !strings.HasSuffix(p.PkgPath, ".test") { // the main package that the go command makes for tests
				r.packages = append(r.packages, p)
			}
		}
	}
	return r, nil
}

// modules returns the directories of the modules that have code. Others only list tools.
func modules(root string) (dirs []string, err error) {
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (strings.HasPrefix(e.Name(), ".") && path != root || e.Name() == "testdata"):
			return filepath.SkipDir
		case e.Name() != "go.mod":
			return nil
		}
		dir := filepath.Dir(path)
		code, err := hasCode(dir)
		if code {
			dirs = append(dirs, dir)
		}
		return err
	})
	return dirs, err
}

// hasCode reports whether a module has a Go file of its own.
func hasCode(dir string) (found bool, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != dir:
			if inner, _ := filepath.Glob(filepath.Join(path, "go.mod")); len(inner) > 0 || e.Name() == "testdata" {
				return filepath.SkipDir
			}
		case strings.HasSuffix(path, ".go"):
			found = true
			return filepath.SkipAll
		}
		return nil
	})
	return found, err
}

// place is where a name is declared. It identifies the name, since packages that are loaded for
// different modules have different objects for the same name. It has no column, since packages
// that are not loaded from source know none.
type place struct {
	file string // path from the root
	line int
	name string
}

func (r *repository) place(p *packages.Package, pos token.Pos, name string) place {
	at := p.Fset.Position(pos)
	return place{r.relative(at.Filename), at.Line, name}
}

func (at place) String() string { return fmt.Sprintf("%s:%d", at.file, at.line) }

func (at place) dir() string { return filepath.ToSlash(filepath.Dir(at.file)) }

func (at place) inTest() bool { return strings.HasSuffix(at.file, "_test.go") }

// relative returns the path of a file from the root, or the path itself if the file is not below
// the root.
func (r *repository) relative(file string) string {
	if rel, err := filepath.Rel(r.root, file); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return file
}

// own returns the files of a package that are not generated.
func (r *repository) own(p *packages.Package) []*ast.File {
	return slices.DeleteFunc(slices.Clone(p.Syntax), func(f *ast.File) bool {
		return ast.IsGenerated(f) || !filepath.IsLocal(r.relative(p.Fset.Position(f.Pos()).Filename))
	})
}

// exempt reports whether the rules for names and methods do not apply to a directory. A client has
// a method for each call of the API, even if nothing in the repository uses it.
func exempt(dir string) bool { return dir == "pkg/client" }
