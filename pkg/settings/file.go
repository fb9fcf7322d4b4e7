package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// yaml applies a file. Sections may be nested or dotted: nats: {url: x} and nats.url: x are
// the same.
func (l *loader) yaml(path string, content []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return // empty, or only comments
	} else if err != nil {
		l.fault("%s: %w", path, err)
		l.unread = true
		return
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		l.fault("%s: want one YAML document", path)
		return
	}
	r := fileReader{to: l, path: path, seen: make(map[string]int)}
	r.section("", document.Content[0])
}

// fileReader walks the nodes of one file.
type fileReader struct {
	to   *loader
	path string
	seen map[string]int // by key: the line that sets it
}

// section reads a mapping whose keys continue the prefix ("" or ending in '.').
func (r fileReader) section(prefix string, n *yaml.Node) {
	if n.Tag == "!!null" {
		return // a section whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		r.to.fault("%s: %q: want a mapping of keys", r.at(n), prefix)
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, child := prefix+n.Content[i].Value, n.Content[i+1]
		k, ok := lookup(name)
		switch {
		case ok:
			r.key(k, n.Content[i].Line, child)
		case isSection(name):
			r.section(name+".", child)
		case renamed[name] != "":
			r.to.fault("%s: %s has a new name: %s", r.at(n.Content[i]), name, renamed[name])
		default:
			r.to.fault("%s: %s: unknown key%s", r.at(n.Content[i]), name, didYouMean(name, names()))
		}
	}
}

func (r fileReader) key(k key, line int, n *yaml.Node) {
	if before, ok := r.seen[k.name]; ok {
		r.to.fault("%s: %s: line %d sets it already", r.at(n), k.name, before)
		return
	}
	r.seen[k.name] = line
	origin := fmt.Sprintf("file %s:%d", r.path, line)
	v, isSequence := k.value(&r.to.into).(sequence)
	switch {
	case n.Tag == "!!null":
		// It counts as not set.
	case n.Kind == yaml.ScalarNode:
		r.to.setText(k, origin, n.Value)
	case n.Kind == yaml.SequenceNode && isSequence:
		r.to.set(k, origin, "", func(value) error { return v.setNode(n) })
	default:
		r.to.fault("%s (%s): want a single value", k.name, origin)
	}
}

func (r fileReader) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.path, n.Line) }

func scalars(n *yaml.Node) ([]string, error) {
	items := make([]string, 0, len(n.Content))
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: want a string", item.Line)
		}
		items = append(items, item.Value)
	}
	return items, nil
}

func names() []string {
	all := make([]string, 0, len(keys))
	for _, k := range keys {
		all = append(all, k.name)
	}
	return all
}
