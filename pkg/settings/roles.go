package settings

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
)

// Table returns the roles. Those that Load returned are valid.
func (s Sources) Table() (roles.Table, error) {
	all := make([]roles.Role, 0, len(s.Roles))
	for _, r := range s.Roles {
		u, err := objectstore.ParseURI(r.Source)
		if err != nil {
			return roles.Table{}, err
		}
		all = append(all, roles.Role{Source: u, ARN: r.ARN, ExternalID: r.ExternalID, SessionName: cmp.Or(r.SessionName, "rangefleet")})
	}
	return roles.NewTable(all)
}

// roleList is a sequence of roles in a file, and the same as text in a flag or in the
// environment.
type roleList struct{ at *[]Role }

// Set reads roles from YAML, which includes JSON.
func (l roleList) Set(text string) error {
	var all []Role
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&all); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("want a list of roles, such as [{source: s3://lake/, role_arn: \"arn:aws:iam::123456789012:role/name\"}]: %w", err)
	}
	*l.at = all
	return nil
}

func (l roleList) setNode(n *yaml.Node) error {
	text, err := yaml.Marshal(n) // since only a decoder of text refuses unknown fields
	if err != nil {
		return err
	}
	return l.Set(string(text))
}

func (l roleList) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	if len(*l.at) > 0 {
		_ = n.Encode(*l.at) // strings only
		n.Style = yaml.FlowStyle
		for _, item := range n.Content {
			item.Style = yaml.FlowStyle
		}
	}
	return n
}

// String returns the roles as JSON.
func (l roleList) String() string {
	if len(*l.at) == 0 {
		return ""
	}
	text, _ := json.Marshal(*l.at) // strings only
	return string(text)
}

// Type implements value.
func (l roleList) Type() string { return "roles" }
