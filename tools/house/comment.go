package main

import (
	"path/filepath"
	"strings"
)

// undocumented finds packages without a doc comment, which godoc and editors show.
func (r *repository) undocumented() (found []finding) {
	for _, p := range r.packages {
		if p.ForTest != "" || len(p.Syntax) == 0 {
			continue
		}
		file := r.relative(p.Fset.Position(p.Syntax[0].Pos()).Filename)
		if !filepath.IsLocal(file) {
			continue
		}
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command "
		}
		documented := false
		for _, f := range p.Syntax {
			documented = documented || f.Doc != nil && strings.HasPrefix(f.Doc.Text(), want)
		}
		if !documented {
			found = append(found, finding{ruleComment, filepath.ToSlash(filepath.Dir(file)), file + ":1", "no doc comment starts with \"" + want + "\""})
		}
	}
	return found
}
