package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

// maxFaults is the number of faults of a file that are reported.
const maxFaults = 50

// reader reads the nodes of a YAML file, and collects the faults. A nil node is a missing field.
type reader struct {
	path   string
	faults []error
}

// document returns the content of the only document of a file; nil if it has none.
func (r *reader) document(content []byte) *yaml.Node {
	if len(content) > limits.AccessFile {
		r.faults = append(r.faults, fmt.Errorf("%s: %d bytes, at most %d are allowed", r.path, len(content), limits.AccessFile))
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil // empty, or only comments
	} else if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%s: %w", r.path, err))
		return nil
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		r.faults = append(r.faults, fmt.Errorf("%s: want one YAML document", r.path))
		return nil
	}
	return document.Content[0]
}

// err returns the faults, or nil if there are none.
func (r *reader) err() error {
	if more := len(r.faults) - maxFaults; more > 0 {
		return errors.Join(append(slices.Clone(r.faults[:maxFaults]), fmt.Errorf("%s: and %d more", r.path, more))...)
	}
	return errors.Join(r.faults...)
}

// fault notes what is wrong with the field of a node.
func (r *reader) fault(n *yaml.Node, field, format string, args ...any) {
	at := fmt.Sprintf("%s:%d: ", r.path, n.Line)
	if field != "" {
		at += field + ": "
	}
	r.faults = append(r.faults, fmt.Errorf(at+format, args...))
}

// fields returns the values of a mapping that has only fields of the given names.
func (r *reader) fields(n *yaml.Node, field string, names ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		r.fault(n, field, "want a mapping of %s", strings.Join(names, ", "))
		return nil
	}
	values := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch before := values[key.Value]; {
		case before != nil:
			r.fault(key, field, "%.100q is already set on line %d", key.Value, before.Line)
		case key.Value == "condition":
			r.fault(key, field, "condition: conditions are not supported")
		case key.Kind != yaml.ScalarNode || !slices.Contains(names, key.Value):
			r.fault(key, field, "unknown field %.100q: want %s", key.Value, strings.Join(names, ", "))
		default:
			values[key.Value] = value
		}
	}
	return values
}

// list calls each for every element of a list. A missing list, or null, is empty.
func (r *reader) list(n *yaml.Node, field string, most int, each func(n *yaml.Node, field string)) {
	switch {
	case n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null":
	case n.Kind != yaml.SequenceNode:
		r.fault(n, field, "want a list")
	case len(n.Content) > most:
		r.fault(n, field, "%d elements, at most %d are allowed", len(n.Content), most)
	default:
		for i, element := range n.Content {
			each(element, fmt.Sprintf("%s[%d]", field, i))
		}
	}
}

// text returns the text of a required field of a mapping, or of an element of a list, if check
// accepts it; "" otherwise.
func (r *reader) text(n, parent *yaml.Node, field string, check func(string) error) string {
	switch {
	case n == nil:
		r.fault(parent, field, "missing")
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		r.fault(n, field, "want a text")
	default:
		if err := check(n.Value); err != nil {
			r.fault(n, field, "%.200q: %w", n.Value, err)
			return ""
		}
		return n.Value
	}
	return ""
}

// texts returns the texts of a list without those that check refuses or that are there twice.
func (r *reader) texts(n *yaml.Node, field string, most int, check func(string) error) (all []string) {
	seen := make(map[string]bool)
	r.list(n, field, most, func(n *yaml.Node, field string) {
		text := r.text(n, n, field, check)
		switch {
		case text == "":
		case seen[text]:
			r.fault(n, field, "%.200q is already in the list", text)
		default:
			seen[text] = true
			all = append(all, text)
		}
	})
	return all
}

// join returns the name of a field of a mapping.
func join(field, name string) string { return field + "." + name }
