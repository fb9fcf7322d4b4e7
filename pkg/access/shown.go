package access

import (
	"maps"
	"slices"
)

// Policies returns all policies, in the order of their IDs.
func (r *Rules) Policies() []Policy { return r.named(slices.Collect(maps.Keys(r.policies))) }

// Policy returns a policy; ok is false if there is none.
func (r *Rules) Policy(id string) (p Policy, ok bool) {
	c, ok := r.policies[id]
	return c.Policy, ok
}

// Groups returns the IDs of all groups, in order.
func (r *Rules) Groups() []string { return slices.Sorted(maps.Keys(r.groups)) }

// HasGroup reports whether there is a group.
func (r *Rules) HasGroup(id string) bool {
	_, ok := r.groups[id]
	return ok
}

// Members returns the users that the rules put in a group, in order. Those whom an identity provider
// puts there are not known.
func (r *Rules) Members(group string) []string {
	var members []string
	for user, groups := range r.members {
		if slices.Contains(groups, group) {
			members = append(members, user)
		}
	}
	slices.Sort(members)
	return members
}

// GroupsOf returns the groups that the rules put a user in, in order.
func (r *Rules) GroupsOf(user string) []string { return distinct(r.members[user]) }

// PoliciesOf returns the policies of a user, in the order of their IDs: its own, and with groups also
// those of the groups that GroupsOf returns.
func (r *Rules) PoliciesOf(user string, groups bool) []Policy {
	ids := slices.Clone(r.users[user])
	if groups {
		for _, group := range r.members[user] {
			ids = append(ids, r.groups[group]...)
		}
	}
	return r.named(ids)
}

// PoliciesOfGroup returns the policies of a group, in the order of their IDs.
func (r *Rules) PoliciesOfGroup(group string) []Policy { return r.named(r.groups[group]) }

// named returns the policies with the IDs.
func (r *Rules) named(ids []string) []Policy {
	var all []Policy
	for _, id := range distinct(ids) {
		all = append(all, r.policies[id].Policy)
	}
	return all
}

// distinct returns the texts in order, each once.
func distinct(texts []string) []string { return slices.Compact(slices.Sorted(slices.Values(texts))) }
