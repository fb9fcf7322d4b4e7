package access

import (
	"encoding/json"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

// ParseRules parses a file of rules, as docs/access.md describes it, and adds what is built in. The
// path is only for errors. The error lists everything that is wrong, with line, field and value.
func ParseRules(path string, content []byte) (*Rules, error) {
	f := file{reader: reader{path: path}, rules: BuiltIn(), lines: make(map[string]int)}
	if n := f.document(content); n != nil && n.Tag != "!!null" {
		f.read(n)
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.rules, nil
}

// file reads rules from a file.
type file struct {
	reader
	rules *Rules
	lines map[string]int // where policies, groups, users and mappings are defined
}

func (f *file) read(n *yaml.Node) {
	parts := f.fields(n, "", "policies", "groups", "users", "mappings")
	f.list(parts["policies"], "policies", limits.AccessItems, f.policy)
	f.list(parts["groups"], "groups", limits.AccessItems, f.group)
	f.list(parts["users"], "users", limits.AccessItems, f.user)
	f.list(parts["mappings"], "mappings", limits.AccessItems, f.mapping)
}

// define reports whether something is defined for the first time.
func (f *file) define(n *yaml.Node, field, what string) bool {
	if line, ok := f.lines[what]; ok {
		f.fault(n, field, "the %s is already on line %d", what, line)
		return false
	}
	f.lines[what] = n.Line
	return true
}

func (f *file) policy(n *yaml.Node, field string) {
	parts := f.fields(n, field, "id", "statement")
	if parts == nil {
		return
	}
	p := Policy{ID: f.text(parts["id"], n, join(field, "id"), func(id string) error {
		if f.rules.has(id) && f.lines["policy "+id] == 0 {
			return errors.New("this policy is built in")
		}
		return checkName(id)
	})}
	f.list(parts["statement"], join(field, "statement"), limits.Statements, func(n *yaml.Node, field string) {
		p.Statements = append(p.Statements, f.statement(n, field))
	})
	if len(p.Statements) == 0 {
		f.fault(n, join(field, "statement"), "want one statement at least")
	}
	if p.ID != "" && f.define(n, field, "policy "+p.ID) {
		f.rules.add(p)
	}
}

func (f *file) statement(n *yaml.Node, field string) (s Statement) {
	parts := f.fields(n, field, "effect", "action", "resource")
	if parts == nil {
		return s
	}
	s.Effect = Effect(f.text(parts["effect"], n, join(field, "effect"), func(text string) error {
		if e := Effect(text); e != allow && e != deny {
			return fmt.Errorf("want %s or %s", allow, deny)
		}
		return nil
	}))
	s.Actions = f.some(n, join(field, "action"), func(field string) []string {
		return f.texts(parts["action"], field, limits.Statements, bounded(checkAction))
	})
	s.Resources = f.some(n, join(field, "resource"), func(field string) []string {
		return f.resources(parts["resource"], field)
	})
	return s
}

// some returns what read returns, and refuses an empty list.
func (f *file) some(parent *yaml.Node, field string, read func(field string) []string) []string {
	before := len(f.faults)
	all := read(field)
	if len(all) == 0 && len(f.faults) == before {
		f.fault(parent, field, "want one at least")
	}
	return all
}

// resources returns the resources of a statement: a text, or a list of texts. As in lakeFS, a text
// may also be a list in JSON.
func (f *file) resources(n *yaml.Node, field string) []string {
	check := bounded(func(text string) error {
		_, err := parseTarget(text)
		return err
	})
	if n == nil || n.Kind != yaml.ScalarNode {
		return f.texts(n, field, limits.Statements, check)
	}
	var list []string
	if json.Unmarshal([]byte(n.Value), &list) == nil {
		n = &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line}
		for _, text := range list {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Line: n.Line, Value: text})
		}
		return f.texts(n, field, limits.Statements, check)
	}
	if text := f.text(n, n, field, check); text != "" {
		return []string{text}
	}
	return nil
}

// bounded is check for texts that are not too long for a pattern.
func bounded(check func(string) error) func(string) error {
	return func(text string) error {
		if len(text) > limits.Pattern {
			return fmt.Errorf("%d bytes, at most %d are allowed", len(text), limits.Pattern)
		}
		return check(text)
	}
}

func (f *file) group(n *yaml.Node, field string) {
	parts := f.fields(n, field, "id", "policies", "members")
	if parts == nil {
		return
	}
	id := f.text(parts["id"], n, join(field, "id"), checkName)
	policies := f.policies(parts["policies"], join(field, "policies"))
	members := f.texts(parts["members"], join(field, "members"), limits.AccessItems, checkWritten)
	if id == admins && policies != nil {
		f.fault(n, join(field, "policies"), "the group %s has the policy %s and no other", admins, allAccess)
		return
	}
	if id == "" || !f.define(n, field, "group "+id) {
		return
	}
	f.rules.groups[id] = append(f.rules.groups[id], policies...)
	for _, text := range members {
		user, _ := parseUser(text)
		f.rules.members[user] = append(f.rules.members[user], id)
	}
}

func (f *file) user(n *yaml.Node, field string) {
	parts := f.fields(n, field, "id", "policies")
	if parts == nil {
		return
	}
	text := f.text(parts["id"], n, join(field, "id"), checkWritten)
	policies := f.policies(parts["policies"], join(field, "policies"))
	if text != "" && f.define(n, field, "user "+text) {
		user, _ := parseUser(text)
		f.rules.users[user] = policies
	}
}

// checkWritten checks a user as people write it.
func checkWritten(text string) error {
	_, err := parseUser(text)
	return err
}

// policies returns the IDs of policies that are defined.
func (f *file) policies(n *yaml.Node, field string) []string {
	return f.texts(n, field, limits.AccessItems, func(id string) error {
		if !f.rules.has(id) {
			return errors.New("there is no such policy")
		}
		return nil
	})
}

func (f *file) mapping(n *yaml.Node, field string) {
	parts := f.fields(n, field, "issuer", "claim", "value", "group")
	if parts == nil {
		return
	}
	m := mapping{
		issuer: f.text(parts["issuer"], n, join(field, "issuer"), checkIssuer),
		claim:  f.text(parts["claim"], n, join(field, "claim"), bounded(checkText)),
		value:  f.text(parts["value"], n, join(field, "value"), bounded(checkText)),
		group: f.text(parts["group"], n, join(field, "group"), func(id string) error {
			if _, ok := f.rules.groups[id]; !ok {
				return errors.New("there is no such group")
			}
			return nil
		}),
	}
	if f.define(n, field, fmt.Sprintf("mapping of %s, %q and %q to %s", m.issuer, m.claim, m.value, m.group)) {
		f.rules.mappings = append(f.rules.mappings, m)
	}
}

// checkText refuses the empty text, which a missing claim has.
func checkText(text string) error {
	if text == "" {
		return errors.New("want a text")
	}
	return nil
}
