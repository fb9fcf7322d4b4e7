package access

import "slices"

// Rules say who has which policies.
type Rules struct {
	policies map[string]compiled // by ID, with those that are built in
	users    map[string][]string // policies, by user
	groups   map[string][]string // policies, by group
	members  map[string][]string // groups, by user
	mappings []mapping
}

// mapping puts the users of an identity provider with some value of a claim in a group.
type mapping struct{ issuer, claim, value, group string }

// BuiltIn returns the rules of an installation that has none of its own: only the group
// Admins, thus only the user admin, may do anything.
func BuiltIn() *Rules {
	r := &Rules{
		policies: make(map[string]compiled), users: make(map[string][]string),
		groups: map[string][]string{admins: {allAccess}}, members: map[string][]string{Admin: {admins}},
	}
	for _, p := range builtIn() {
		r.add(p)
	}
	return r
}

// compiled is a policy, and its statements ready to be compared with needs.
type compiled struct {
	Policy
	rules []rule
}

func (r *Rules) add(p Policy) {
	c := compiled{Policy: p}
	for _, s := range p.Statements {
		c.rules = append(c.rules, compile(s))
	}
	r.policies[p.ID] = c
}

func (r *Rules) has(policy string) bool {
	_, ok := r.policies[policy]
	return ok
}

// Of returns what a caller may do. A caller whose user has no valid name may do nothing.
func (r *Rules) Of(c Caller) Grants {
	if checkUser(c.User) != nil {
		return Grants{}
	}
	ids := slices.Clone(r.users[c.User])
	for _, group := range slices.Concat(r.members[c.User], c.Groups) {
		ids = append(ids, r.groups[group]...)
	}
	slices.Sort(ids)
	var g Grants
	for _, id := range slices.Compact(ids) {
		for _, s := range r.policies[id].rules {
			g.rules = append(g.rules, s.of(c.User))
		}
	}
	return g
}

// Mapped returns the groups of a user of an identity provider with some claims. The issuer must be
// verified: it decides about the groups.
func (r *Rules) Mapped(issuer string, claims map[string][]string) (groups []string) {
	for _, m := range r.mappings {
		if m.issuer == issuer && slices.Contains(claims[m.claim], m.value) && !slices.Contains(groups, m.group) {
			groups = append(groups, m.group)
		}
	}
	return groups
}
