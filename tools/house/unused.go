package main

import (
	"fmt"
	"go/ast"
	"go/types"
	"iter"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// candidate is an exported name that must be used.
type candidate struct {
	place
	full  string // directory.Type.Member
	what  string // kind of the name, for findings
	types []types.Type
	// implements is set if the type needs the method to implement an interface, through
	// which the method may be called.
	implements bool
}

// unused finds exported names of pkg/ and internal/ that are not used outside their package and
// tests.
//
// Uses by tests count only for packages that are made for tests: those of internal/, and those
// whose names end in "test". Uses by other modules count, also those under test/ and bench/. For
// a field, uses by tests count, even by tests of its package, since tests set clocks and bounds.
//
// A type is also used if the type of a used name contains it. A constant of an enumeration is used
// if its type is used. A field with a tag is used by an encoder. A method is used if its type needs
// it to implement an interface.
func (r *repository) unused() (found []finding) {
	used := r.uses()
	all := r.candidates()
	for spread(all, used) {
	}
	for _, c := range all {
		if !used[c.place] && !c.implements {
			found = append(found, finding{ruleUnused, c.full, c.place.String(), "the exported " + c.what + " is not used outside its package and tests: unexport or remove it"})
		}
	}
	return found
}

// spread marks the types of used names as used, and reports whether a type was not marked before.
func spread(all []candidate, used map[place]bool) (grown bool) {
	declared := make(map[string]place)
	for _, c := range all {
		declared[c.full] = c.place
	}
	for _, c := range all {
		if !used[c.place] && !c.implements {
			continue
		}
		for _, t := range c.types {
			for _, name := range mentioned(t) {
				if at, ok := declared[fullName(name)]; ok && !used[at] {
					used[at], grown = true, true
				}
			}
		}
	}
	return grown
}

// uses returns the places of all used names.
func (r *repository) uses() map[place]bool {
	used := make(map[place]bool)
	for _, p := range r.packages {
		note := func(from ast.Node, object types.Object) {
			if object.Pkg() == nil || !object.Pos().IsValid() {
				return
			}
			to, by := r.place(p, object.Pos(), object.Name()), r.place(p, from.Pos(), "")
			variable, ok := object.(*types.Var)
			switch field := ok && variable.IsField(); {
			case field && by.inTest(),
				by.dir() != to.dir() && (!by.inTest() || otherModule(by) || forTests(to.dir())):
				used[to] = true
			}
		}
		for ident, object := range p.TypesInfo.Uses {
			note(ident, object)
		}
		for _, file := range p.Syntax {
			ast.Inspect(file, func(n ast.Node) bool {
				for _, field := range unnamed(p, n) {
					note(n, field)
				}
				return true
			})
		}
	}
	return used
}

// unnamed returns the fields that an expression uses without naming them: the fields of a literal
// without keys and of a conversion between structs, and the embedded fields on the way to a
// selected name.
func unnamed(p *packages.Package, n ast.Node) []*types.Var {
	switch n := n.(type) {
	case *ast.CompositeLit:
		if len(n.Elts) > 0 {
			if _, keyed := n.Elts[0].(*ast.KeyValueExpr); !keyed {
				return fields(p.TypesInfo.TypeOf(n))
			}
		}
	case *ast.CallExpr:
		if p.TypesInfo.Types[n.Fun].IsType() && len(n.Args) == 1 {
			return append(fields(p.TypesInfo.TypeOf(n.Fun)), fields(p.TypesInfo.TypeOf(n.Args[0]))...)
		}
	case *ast.SelectorExpr:
		if s := p.TypesInfo.Selections[n]; s != nil {
			return steps(s)
		}
	}
	return nil
}

// fields returns the fields of a struct or of a pointer to a struct.
func fields(t types.Type) (all []*types.Var) {
	if t == nil {
		return nil
	}
	t = t.Underlying()
	if pointer, ok := t.(*types.Pointer); ok {
		t = pointer.Elem().Underlying()
	}
	if s, ok := t.(*types.Struct); ok {
		for f := range s.Fields() {
			all = append(all, f)
		}
	}
	return all
}

// steps returns the embedded fields that a selection passes through.
func steps(s *types.Selection) (all []*types.Var) {
	t := s.Recv()
	for _, i := range s.Index()[:len(s.Index())-1] {
		step := fields(t)[i]
		all, t = append(all, step), step.Type()
	}
	return all
}

// candidates returns the exported names of pkg/ and internal/.
func (r *repository) candidates() (all []candidate) {
	known := r.interfaces()
	for _, p := range r.packages {
		if p.ForTest != "" {
			continue
		}
		for _, file := range r.own(p) {
			for ident, object := range definedIn(p, file) {
				at := r.place(p, ident.Pos(), ident.Name)
				if object.Parent() != p.Types.Scope() || !object.Exported() || exempt(at.dir()) || !checked(at.dir()) {
					continue
				}
				full := at.dir() + "." + ident.Name
				name, isType := object.(*types.TypeName)
				if constant, ok := object.(*types.Const); ok && enumerates(constant) {
					continue
				}
				if !isType {
					all = append(all, candidate{place: at, full: full, what: "name", types: []types.Type{object.Type()}})
					continue
				}
				own := candidate{place: at, full: full, what: "type"}
				members := r.members(p, name, full, known)
				for _, m := range members {
					if m.what == "" { // used if its type is
						own.types = append(own.types, m.types...)
					} else {
						all = append(all, m)
					}
				}
				if i, ok := name.Type().Underlying().(*types.Interface); ok {
					own.types = append(own.types, i)
				}
				all = append(all, own)
			}
		}
	}
	return all
}

// members returns the exported fields and methods of a type. Those with an empty what need no use
// of their own.
func (r *repository) members(p *packages.Package, name *types.TypeName, full string, known []methodSet) (all []candidate) {
	named, ok := name.Type().(*types.Named)
	if !ok {
		return nil
	}
	add := func(o types.Object, what string, implements bool) {
		if o.Exported() {
			all = append(all, candidate{
				place: r.place(p, o.Pos(), o.Name()), full: full + "." + o.Name(), what: what,
				types: []types.Type{o.Type()}, implements: implements,
			})
		}
	}
	set := methodsOf(types.NewPointer(named))
	for m := range named.Methods() {
		add(m, "method", implements(set, m, known))
	}
	if s, ok := named.Underlying().(*types.Struct); ok {
		for i := range s.NumFields() {
			what := "field"
			if reflect.StructTag(s.Tag(i)) != "" || s.Field(i).Embedded() {
				what = ""
			}
			add(s.Field(i), what, false)
		}
	}
	return all
}

// enumerates reports whether a constant is of a type that is declared with it.
func enumerates(c *types.Const) bool {
	named, ok := c.Type().(*types.Named)
	return ok && named.Obj().Pkg() == c.Pkg()
}

// interfaces returns the method sets of the interfaces that the repository's code can name.
func (r *repository) interfaces() (all []methodSet) {
	seen := make(map[types.Type]bool)
	add := func(t types.Type) {
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		if i, ok := t.Underlying().(*types.Interface); ok && i.NumMethods() > 0 && i.IsMethodSet() {
			all = append(all, methodsOf(t))
		}
	}
	add(types.Universe.Lookup("error").Type())
	for _, p := range r.packages {
		for _, t := range p.TypesInfo.Types {
			add(t.Type)
		}
		for _, q := range append(p.Types.Imports(), p.Types) {
			for _, name := range q.Scope().Names() {
				if t, ok := q.Scope().Lookup(name).(*types.TypeName); ok {
					add(t.Type())
				}
			}
		}
	}
	return all
}

// methodSet is a set of methods by name and signature, as text, since packages that are loaded for
// different modules have different types.
type methodSet map[string]bool

func methodsOf(t types.Type) methodSet {
	methods := make(methodSet)
	set := types.NewMethodSet(t)
	for i := range set.Len() {
		if f, ok := set.At(i).Obj().(*types.Func); ok {
			methods[signature(f)] = true
		}
	}
	return methods
}

// signature returns the name of a method with the types of its parameters and results.
func signature(f *types.Func) string {
	s := f.Signature()
	return fmt.Sprint(f.Id(), variables(s.Params().Variables()), variables(s.Results().Variables()), s.Variadic())
}

// implements reports whether a type needs the method to implement one of the known interfaces.
func implements(of methodSet, method *types.Func, known []methodSet) bool {
	key := signature(method)
	for _, set := range known {
		if !set[key] {
			continue
		}
		all := true
		for m := range set {
			all = all && of[m]
		}
		if all {
			return true
		}
	}
	return false
}

// mentioned returns the named types in the notation of a type.
func mentioned(t types.Type) (all []*types.TypeName) {
	seen := make(map[types.Type]bool)
	for rest := []types.Type{t}; len(rest) > 0; {
		t, rest = rest[len(rest)-1], rest[:len(rest)-1]
		if t == nil || seen[t] {
			continue
		}
		seen[t] = true
		if named, ok := t.(interface{ Obj() *types.TypeName }); ok {
			all = append(all, named.Obj())
		}
		rest = append(rest, parts(t)...)
	}
	return all
}

// parts returns the types that a type is composed of. The parts of a named type are its type
// arguments.
func parts(t types.Type) []types.Type {
	switch t := t.(type) {
	case *types.Named:
		return slices.Collect(t.TypeArgs().Types())
	case *types.Alias:
		return []types.Type{t.Rhs()}
	case *types.Map:
		return []types.Type{t.Key(), t.Elem()}
	case interface{ Elem() types.Type }: // pointers, slices, arrays and channels
		return []types.Type{t.Elem()}
	case *types.Signature:
		return append(variables(t.Params().Variables()), variables(t.Results().Variables())...)
	case *types.Struct:
		return variables(t.Fields())
	case *types.Interface:
		var all []types.Type
		for m := range t.Methods() {
			all = append(all, m.Type())
		}
		return all
	}
	return nil
}

func variables(all iter.Seq[*types.Var]) (list []types.Type) {
	for v := range all {
		list = append(list, v.Type())
	}
	return list
}

// fullName returns directory.Type for a type of pkg/ or internal/.
func fullName(name *types.TypeName) string {
	if name.Pkg() == nil {
		return name.Name()
	}
	path := name.Pkg().Path()
	for _, top := range []string{"/pkg/", "/internal/"} {
		if i := strings.Index(path, top); i >= 0 {
			path = path[i+1:]
			break
		}
	}
	return path + "." + name.Name()
}

// definedIn returns the objects that a file declares, by identifier.
func definedIn(p *packages.Package, file *ast.File) map[*ast.Ident]types.Object {
	defined := make(map[*ast.Ident]types.Object)
	ast.Inspect(file, func(n ast.Node) bool {
		if ident, ok := n.(*ast.Ident); ok {
			if object := p.TypesInfo.Defs[ident]; object != nil {
				defined[ident] = object
			}
		}
		return true
	})
	return defined
}

// checked reports whether the exported names of a directory must be used.
func checked(dir string) bool {
	return strings.HasPrefix(dir, "pkg/") || strings.HasPrefix(dir, "internal/")
}

// forTests reports whether a directory is made for tests of other packages.
func forTests(dir string) bool {
	return strings.HasPrefix(dir, "internal/") || strings.HasSuffix(dir, "test")
}

// otherModule reports whether a place is in a module other than that of pkg/.
func otherModule(at place) bool {
	top, _, _ := strings.Cut(at.file, "/")
	return top == "test" || top == "bench" || top == "tools"
}
