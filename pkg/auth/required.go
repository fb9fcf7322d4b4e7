package auth

import (
	"maps"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

// Required are the claims without which a provider's user cannot log in: for each name the values
// of which the user must have one. It does not change once it is used.
type Required map[string][]string

// check returns a Forbidden fault, which names the first claim that a user lacks. It does not name
// the values: the user is a stranger.
func (q Required) check(claims map[string][]string) error {
	for _, name := range slices.Sorted(maps.Keys(q)) {
		has := func(value string) bool { return slices.Contains(claims[name], value) }
		if !slices.ContainsFunc(q[name], has) {
			return fault.Forbid("this account may not log in here: what the identity provider says of its %q is not what an operator requires", name)
		}
	}
	return nil
}
