package access

import "slices"

// Policy is a set of statements with a name.
type Policy struct {
	ID         string
	Statements []Statement
}

// Statement allows or denies actions on resources. In both, '*' stands for any characters, and '?'
// for one.
type Statement struct {
	Effect  Effect
	Actions []string
	// Resources are "*" or ARNs, in which ${user} is the name of the caller.
	Resources []string
}

// Effect says what a statement does, or what all statements of a caller say about a need. The
// zero value is nothing, which does not allow it.
type Effect string

const (
	allow Effect = "allow"
	deny  Effect = "deny" // it wins over allow
)

// rule is a statement that is ready to be compared with needs.
type rule struct {
	effect  Effect
	actions []pattern
	targets []target
}

// compile returns the rule of a statement whose parts are valid.
func compile(s Statement) rule {
	c := rule{effect: s.Effect}
	for _, text := range s.Actions {
		c.actions = append(c.actions, pattern(text))
	}
	for _, text := range s.Resources {
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
func (r rule) on(a Action, resource Resource) Effect {
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
