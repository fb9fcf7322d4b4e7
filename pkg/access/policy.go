package access

import "slices"

// policy is a set of statements with a name.
type policy struct {
	id         string
	statements []statement
}

// statement allows or denies actions on resources. In both, '*' stands for any characters, and '?'
// for one.
type statement struct {
	effect  effect
	actions []string
	// resources are "*" or ARNs, in which ${user} is the name of the caller.
	resources []string
}

// effect says what a statement does, or what all statements of a caller say about a need. The
// zero value is nothing, which does not allow it.
type effect string

const (
	allow effect = "allow"
	deny  effect = "deny" // it wins over allow
)

// rule is a statement that is ready to be compared with needs.
type rule struct {
	effect  effect
	actions []pattern
	targets []target
}

// compile returns the rule of a statement whose parts are valid.
func compile(s statement) rule {
	c := rule{effect: s.effect}
	for _, text := range s.actions {
		c.actions = append(c.actions, pattern(text))
	}
	for _, text := range s.resources {
		t, _ := parseTarget(text)
		c.targets = append(c.targets, t)
	}
	return c
}

// of returns the rule for a user.
func (r rule) of(name string) rule {
	targets := make([]target, len(r.targets))
	for i, t := range r.targets {
		targets[i] = t.of(name)
	}
	r.targets = targets
	return r
}

// on returns what the rule says about an action on a resource.
func (r rule) on(a Action, resource Resource) effect {
	speaks := target.allows
	if r.effect == deny {
		speaks = target.denies
	}
	if slices.ContainsFunc(r.actions, func(p pattern) bool { return p.matches(string(a)) }) &&
		slices.ContainsFunc(r.targets, func(t target) bool { return speaks(t, resource) }) {
		return r.effect
	}
	return ""
}
