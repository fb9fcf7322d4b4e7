package main

import (
	"fmt"
	"go/types"
)

// maxMethods is the most methods that may be reached through a type, including unexported ones and
// those of embedded types. With more methods, a reader can hardly tell what each one changes.
const maxMethods = 20

// crowded finds types with too many methods.
func (r *repository) crowded() (found []finding) {
	for _, p := range r.packages {
		for _, file := range r.own(p) {
			if p.ForTest != "" && !r.place(p, file.Pos(), "").inTest() {
				continue // the package is loaded without tests, too
			}
			for ident, object := range definedIn(p, file) {
				name, ok := object.(*types.TypeName)
				if !ok || name.IsAlias() {
					continue
				}
				at := r.place(p, ident.Pos(), ident.Name)
				if n := methods(name.Type()); n > maxMethods && !exempt(at.dir()) {
					found = append(found, finding{
						ruleMethods, at.dir() + "." + ident.Name, at.String(),
						fmt.Sprintf("%d methods can be reached through it, want at most %d: name its embedded fields, or split it", n, maxMethods),
					})
				}
			}
		}
	}
	return found
}

// methods returns the number of methods that can be called on a variable of a type.
func methods(t types.Type) int {
	if _, ok := t.(*types.TypeParam); ok {
		return 0
	}
	if i, ok := t.Underlying().(*types.Interface); ok {
		return i.NumMethods()
	}
	return types.NewMethodSet(types.NewPointer(t)).Len()
}
