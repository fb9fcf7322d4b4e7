package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The rules.
const (
	ruleComment = "comment" // a package has a doc comment
	ruleMethods = "methods" // at most maxMethods can be reached through a type
	ruleUnused  = "unused"  // an exported name is used outside its package and tests
)

var rules = []string{ruleComment, ruleMethods, ruleUnused}

// finding is a violation of a rule.
type finding struct {
	rule string
	name string // directory.Type.Member, from the root of the repository
	at   string // file:line
	text string
}

func (f finding) String() string {
	return fmt.Sprintf("%s: %s %s: %s", f.at, f.rule, f.name, f.text)
}

func (f finding) compare(g finding) int {
	return cmp.Or(strings.Compare(f.rule, g.rule), strings.Compare(f.name, g.name), strings.Compare(f.at, g.at))
}

// exception accepts the findings of one rule and name.
type exception struct {
	rule, name string
	at         string // file:line
}

type exceptions []exception

// parseExceptions parses lines of a rule, a name and a reason, such as "unused pkg/a.B: why". It
// ignores empty lines, and lines that start with #.
func parseExceptions(file, text string) (exceptions, error) {
	var all exceptions
	for i, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", file, i+1)
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		head, reason, _ := strings.Cut(line, ": ")
		rule, name, _ := strings.Cut(head, " ")
		if !slices.Contains(rules, rule) || name == "" || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s: want \"RULE NAME: REASON\" with a rule of %s", at, strings.Join(rules, ", "))
		}
		all = append(all, exception{rule, name, at})
	}
	return all, nil
}

// apply returns a line for each finding that is no exception, and for each exception that
// accepts no finding.
func (all exceptions) apply(found []finding) (lines []string) {
	used := make(map[exception]bool)
	for _, f := range found {
		accepted := false
		for _, e := range all {
			if e.rule == f.rule && e.name == f.name {
				accepted, used[e] = true, true
			}
		}
		if !accepted {
			lines = append(lines, f.String())
		}
	}
	for _, e := range all {
		if !used[e] {
			lines = append(lines, fmt.Sprintf("%s: the exception %s %s is not needed: remove it", e.at, e.rule, e.name))
		}
	}
	return lines
}
