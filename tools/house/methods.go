package main

import (
	"fmt"
	"go/types"
)

// maxMethods is how many methods may be reached through a type, those of what it embeds
// and unexported ones included. With more of them no reader can tell what a method
// changes.
const maxMethods = 20

// crowded finds types with too many methods.
func (r *repository) crowded() (found []finding) {
	for _, p := range r.packages {
		for _, file := range r.own(p) {
			if p.ForTest != "" && !r.place(p, file.Pos(), "").inTest() {
				continue // its package is loaded without tests, too
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
						fmt.Sprintf("%d methods can be reached through it, at most %d are allowed: give its fields names, or split it", n, maxMethods),
					})
				}
			}
		}
	}
	return found
}

// methods counts what can be called on a variable of a type.
func methods(t types.Type) int {
	if _, ok := t.(*types.TypeParam); ok {
		return 0
	}
	if i, ok := t.Underlying().(*types.Interface); ok {
		return i.NumMethods()
	}
	return types.NewMethodSet(types.NewPointer(t)).Len()
}
