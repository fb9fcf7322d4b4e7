package docnames

import (
	"regexp"
	"slices"
	"strings"
)

var (
	fence    = regexp.MustCompile("(?ms)^```.*?^```$")
	span     = regexp.MustCompile("`([^`\n]+)`")
	filePath = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)*/?$`)
	dotted   = regexp.MustCompile(`^([A-Za-z]\w*)\.([A-Za-z]\w*)(?:\.([A-Za-z]\w*))?(?:\(\))?$`)
	call     = regexp.MustCompile(`^(\w+)\(\)$`)
	camel    = regexp.MustCompile(`^[A-Za-z][a-z]+[A-Z][A-Za-z]*$`)
	document = regexp.MustCompile(`\.(csv|json|md|mod|php|sum|svg|txt|yaml|yml)$`)
)

// missing returns the code spans of a document that name something that the tree does not
// have, each once and without backquotes. It ignores code blocks, and checks these forms:
//
//	worker/slot.go, pkg/limits      a path, which may lack its first elements
//	queue.Queue, Owned.Cut          a name that a package declares, or a field or method
//	partition.Owned.Cut             a field or method of a type of a package
//	closeGaps, ErrFull, land()      a name that any package declares
//
// Two words with a dot may also be in a string literal, such as the name of a setting, a field
// of JSON or a subject. A name in mixed case may also be declared by a code block of the
// document. Single words in lower case are not checked, since they could mean anything.
func (t *tree) missing(text string) (names []string) {
	blocks := strings.Join(fence.FindAllString(text, -1), "")
	for _, match := range span.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := match[1]
		declared := camel.MatchString(name) && strings.Contains(blocks, name)
		if !declared && !t.exists(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// exists reports whether a code span names something that exists, or needs no check.
func (t *tree) exists(name string) bool {
	first, _, nested := strings.Cut(name, "/")
	switch {
	case strings.HasSuffix(name, ".go") && filePath.MatchString(name):
		return t.hasPath(name)
	case nested && filePath.MatchString(name):
		return !t.hasDirectory(first) || t.hasPath(name)
	case document.MatchString(name):
		return true
	case dotted.MatchString(name):
		parts := dotted.FindStringSubmatch(name)
		return t.declares(parts[1], parts[2], parts[3]) || t.quoted(name)
	case call.MatchString(name):
		return t.words[call.FindStringSubmatch(name)[1]]
	case camel.MatchString(name):
		return t.words[name] || t.quoted(name)
	}
	return true
}

// declares reports whether first is a package that declares second, with a member third
// unless that is "", or a type with a member second. A package that the tree does not
// hold, such as time, declares everything.
func (t *tree) declares(first, second, third string) bool {
	if t.types[first][second] && third == "" {
		return true
	}
	if declared, ok := t.packages[first]; ok {
		return declared[second] && (third == "" || t.types[second][third])
	}
	upper := func(s string) bool { return s[0] >= 'A' && s[0] <= 'Z' }
	return !upper(first) && upper(second)
}

// quoted reports whether a string literal holds the name, or equals its part before the dot.
func (t *tree) quoted(name string) bool {
	head, _, dot := strings.Cut(name, ".")
	return slices.ContainsFunc(t.literals, func(s string) bool {
		return strings.Contains(s, name) || dot && s == head+"."
	})
}
