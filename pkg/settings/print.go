package settings

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Print writes the settings as a YAML file that Load can read, with the origin of each value
// in a comment. Secrets are hidden.
func (s Settings) Print(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	sections := make(map[string]*yaml.Node)
	for _, k := range keys {
		parent, name := root, k.name
		if section, rest, ok := strings.Cut(k.name, "."); ok {
			if sections[section] == nil {
				sections[section] = add(root, section, &yaml.Node{Kind: yaml.MappingNode})
			}
			parent, name = sections[section], rest
		}
		v := node(k.value(&s))
		v.LineComment = cmp.Or(s.origins[k.name], "default")
		add(parent, name, v)
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return fmt.Errorf("printing the settings: %w", err)
	}
	return encoder.Close()
}

// Set is a setting that was set, and does not just have its default.
type Set struct {
	Key    string
	Value  string // hidden if it is a secret
	Origin string // the flag, variable, or line of a file
	Same   bool   // the value is the default
}

// Changed returns the settings that were set, in the order of docs/settings.md.
func (s Settings) Changed() (all []Set) {
	plain := defaults(nil, 0)
	for _, k := range keys {
		if origin := s.origins[k.name]; origin != "" {
			v := k.value(&s).String()
			all = append(all, Set{Key: k.name, Value: v, Origin: origin, Same: k.computed == "" && v == k.value(&plain).String()})
		}
	}
	return all
}

func add(mapping *yaml.Node, name string, v *yaml.Node) *yaml.Node {
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, v)
	return v
}

func node(v value) *yaml.Node {
	if s, ok := v.(sequence); ok {
		return s.node()
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	if t := v.Type(); t != "int" && t != "bool" && t != "size" {
		n.Tag = "!!str" // quoted if it would read as another type
	}
	return n
}
