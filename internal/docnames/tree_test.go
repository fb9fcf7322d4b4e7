// Package docnames tests that the files, functions, types and methods that the
// documentation names exist.
package docnames

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tree holds the names that documents may use.
type tree struct {
	paths    []string                   // of files and directories, from the root
	packages map[string]map[string]bool // declared names, by names of packages
	types    map[string]map[string]bool // fields and methods, by names of types
	words    map[string]bool            // all declared names
	literals []string                   // string literals outside of tests
}

// readTree reads the tree below a directory. It skips hidden directories except .ci.
func readTree(root string) (*tree, error) {
	t := &tree{
		packages: make(map[string]map[string]bool), types: make(map[string]map[string]bool), words: make(map[string]bool),
	}
	err := filepath.WalkDir(root, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") && rel != "." && rel != ".ci" {
			return filepath.SkipDir
		}
		t.paths = append(t.paths, rel)
		if e.IsDir() || !strings.HasSuffix(file, ".go") || strings.Contains(rel, "testdata/") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err == nil {
			t.add(parsed, strings.HasSuffix(file, "_test.go"))
		}
		return err
	})
	return t, err
}

func (t *tree) add(file *ast.File, test bool) {
	name := strings.TrimSuffix(file.Name.Name, "_test")
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			t.words[d.Name.Name] = true
			if d.Recv == nil {
				put(t.packages, name, d.Name.Name)
			} else {
				put(t.types, receiver(d.Recv.List[0].Type), d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				t.addSpec(name, spec)
			}
		}
	}
	if test {
		return
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				t.literals = append(t.literals, text)
			}
		}
		return true
	})
}

func (t *tree) addSpec(name string, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, ident := range spec.Names {
			t.words[ident.Name] = true
			put(t.packages, name, ident.Name)
		}
	case *ast.TypeSpec:
		t.words[spec.Name.Name] = true
		put(t.packages, name, spec.Name.Name)
		for _, member := range members(spec.Type) {
			t.words[member] = true
			put(t.types, spec.Name.Name, member)
		}
	}
}

func put(sets map[string]map[string]bool, name, element string) {
	if sets[name] == nil {
		sets[name] = make(map[string]bool)
	}
	sets[name][element] = true
}

// receiver returns the name of a receiver's type.
func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// members returns the fields of a struct, or the methods of an interface.
func members(t ast.Expr) (names []string) {
	var list *ast.FieldList
	switch t := t.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return nil
	}
	for _, f := range list.List {
		for _, ident := range f.Names {
			names = append(names, ident.Name)
		}
	}
	return names
}

// hasPath reports whether name is the end of some path: worker/slot.go is the end of
// pkg/worker/slot.go.
func (t *tree) hasPath(name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(name, "..."), "/")
	return slices.ContainsFunc(t.paths, func(p string) bool { return p == name || strings.HasSuffix(p, "/"+name) })
}

// hasDirectory reports whether a directory at the root, or one of Go code, has the name.
func (t *tree) hasDirectory(name string) bool {
	return slices.ContainsFunc(t.paths, func(p string) bool {
		return path.Dir(p) == name || strings.HasSuffix(p, ".go") && path.Base(path.Dir(p)) == name
	})
}
