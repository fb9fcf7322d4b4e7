package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

// Need is what a caller must be allowed to do: actions on resources, all of them. The zero value
// is nothing, which every caller may do.
type Need struct{ parts []part }

type part struct {
	action Action
	on     Resource
	field  string // of the request, with its value, that names the resource among others; "" if there are none
}

// On is the need to do something to a resource.
func On(a Action, r Resource) Need { return Need{[]part{{action: a, on: r}}} }

// All is the need for all of the given ones.
func All(needs ...Need) Need {
	var all Need
	for _, n := range needs {
		all.parts = append(all.parts, n.parts...)
	}
	return all
}

// IsZero reports whether nothing is needed.
func (n Need) IsZero() bool { return len(n.parts) == 0 }

// Grants are what one caller may do. The zero value is nothing.
type Grants struct{ rules []rule }

// Check returns a fault.Denied with the message of lakeFS if a need is denied, or is not allowed.
// The message names the actions and, of an import of several paths, the first path that is refused,
// but no policies.
func (g Grants) Check(n Need) error {
	var denied, missing []part
	for _, p := range n.parts {
		switch g.effect(p) {
		case allow:
		case deny:
			denied = append(denied, p)
		default:
			missing = append(missing, p)
		}
	}
	switch {
	case len(denied) > 0:
		return fault.Deny("insufficient permissions: denied permission to %s%s", actions(denied), fields(denied))
	case len(missing) > 0:
		return fault.Deny("insufficient permissions: not allowed to %s%s", actions(missing), fields(missing))
	}
	return nil
}

// effect returns what the rules say together.
func (g Grants) effect(p part) (e Effect) {
	if !p.on.valid() {
		return deny
	}
	for _, r := range g.rules {
		switch r.on(p.action, p.on) {
		case deny:
			return deny
		case allow:
			e = allow
		}
	}
	return e
}

// actions separates the different actions by commas, in the order of the needs.
func actions(parts []part) string {
	var distinct []string
	for _, p := range parts {
		if a := string(p.action); !slices.Contains(distinct, a) {
			distinct = append(distinct, a)
		}
	}
	return strings.Join(distinct, ",")
}

// fields returns the first field, and how many others there are.
func fields(parts []part) string {
	first, more := "", 0
	for _, p := range parts {
		switch {
		case p.field == "":
		case first == "":
			first = p.field
		default:
			more++
		}
	}
	switch {
	case first == "":
		return ""
	case more == 0:
		return " (" + first + ")"
	}
	return fmt.Sprintf(" (%s and %d more)", first, more)
}
