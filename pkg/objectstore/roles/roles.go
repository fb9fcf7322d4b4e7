// Package roles decides with which role a source is read, and what a session of that role may
// read. It makes no calls.
package roles

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Role is a role that is assumed to read a source.
type Role struct {
	Source      objectstore.URI // what is read with it: a bucket, or a prefix that ends in '/'
	ARN         string
	ExternalID  string // that the role demands; "" is none
	SessionName string // by which the store's log names the session
}

// most is how many roles there may be.
const most = 1000

// maxNamed is how many characters a prefix takes in a policy. It is there twice, and a policy has
// 2048 characters.
const maxNamed = 700

var (
	arn      = regexp.MustCompile(`^arn:[a-z0-9-]+:iam::[A-Za-z0-9_-]*:role/[!-~]{1,512}$`)
	external = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]+$`)
	session  = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)
)

// check returns what is wrong with a role, or nil.
func (r Role) check() error {
	u := r.Source
	switch {
	case u.Scheme != objectstore.SchemeS3:
		return fmt.Errorf("source %q: want s3://bucket/ or s3://bucket/prefix/", u)
	case u.Key != "" && !strings.HasSuffix(u.Key, "/"):
		return fmt.Errorf("source %q: want a '/' at its end, or it would include other names that start so", u)
	case len(named(u.Key)) < len(u.Key):
		return fmt.Errorf("source %q: want printable ASCII characters in the prefix, none of * ? $ \" \\, and at most %d of them, a space being %d, since a policy has to name it", u, maxNamed, len(space))
	case !arn.MatchString(r.ARN):
		return fmt.Errorf("role_arn %q: want arn:aws:iam::123456789012:role/name", r.ARN)
	case r.ExternalID != "" && (!external.MatchString(r.ExternalID) || len(r.ExternalID) < 2 || len(r.ExternalID) > 1224):
		return fmt.Errorf("external_id %q: want 2 to 1224 of A-Z a-z 0-9 _ + = , . @ : / -", r.ExternalID)
	case !session.MatchString(r.SessionName):
		return fmt.Errorf("session_name %q: want 2 to 64 of A-Z a-z 0-9 _ + = , . @ -", r.SessionName)
	}
	return nil
}

// Table is a set of roles. It is immutable, and the zero Table has none.
type Table struct{ roles []Role } // those of longer sources first

// NewTable returns a table of roles. It returns an error if one of them is invalid, if two
// are for one source, or if there are more than 1000.
func NewTable(all []Role) (Table, error) {
	if len(all) > most {
		return Table{}, fmt.Errorf("%d roles, at most %d are allowed", len(all), most)
	}
	t := Table{roles: slices.Clone(all)}
	seen := make(map[objectstore.URI]bool)
	for _, r := range t.roles {
		if err := r.check(); err != nil {
			return Table{}, err
		}
		if seen[r.Source] {
			return Table{}, fmt.Errorf("source %q has two roles", r.Source)
		}
		seen[r.Source] = true
	}
	slices.SortStableFunc(t.roles, func(a, b Role) int { return cmp.Compare(len(b.Source.Key), len(a.Source.Key)) })
	return t, nil
}

// Session is a role, and what a session of it may read. It is comparable. The zero Session
// stands for no role.
type Session struct {
	Role  Role
	Reach objectstore.URI // all objects that start with it
}

// For returns the session in which a source is read: an object, or all objects with a prefix.
// Of several roles the one with the longest source counts. If there is none, ok is false.
//
// A session for a prefix reaches that prefix, as far as a policy can name it. A session for
// objects reaches the source of the role, so that all of them share it. A prefix that holds a
// source with another role is objectstore.ErrRefused: it would be read with the wrong one.
func (t Table) For(u objectstore.URI, object bool) (s Session, ok bool, err error) {
	if u.Scheme != objectstore.SchemeS3 {
		return s, false, nil
	}
	if err := t.refuseOtherNames(u, object); err != nil {
		return s, false, err
	}
	for _, r := range t.roles {
		switch {
		case r.Source.Contains(u):
			s = Session{Role: r, Reach: r.Source}
			if !object {
				s.Reach.Key = named(u.Key)
			}
			return s, true, nil
		case !object && u.Contains(r.Source):
			return s, false, fmt.Errorf("%s holds %s, which is read with a role of its own: import them separately: %w", u, r.Source, objectstore.ErrRefused)
		}
	}
	return s, false, nil
}

// refuseOtherNames refuses a source whose bucket may be that of a role's source under another name, with
// or without its tenant, if no role names as much of it: without a role, or with another one, it would be
// read with the wrong credentials.
func (t Table) refuseOtherNames(u objectstore.URI, object bool) error {
	most := -1 // bytes of the source's key that a role of the same name for the bucket names
	for _, r := range t.roles {
		if r.Source.Contains(u) {
			most = max(most, len(r.Source.Key))
		}
	}
	for _, r := range t.roles {
		role, source := objectstore.Comparable(r.Source, u)
		alike := role != r.Source || source != u
		if alike && len(role.Key) > most && (role.Contains(source) || !object && source.Contains(role)) {
			return fmt.Errorf("%s may be within %s, which is read with a role of its own: name the bucket as that role does, or give this source a role: %w", u, r.Source, objectstore.ErrRefused)
		}
	}
	return nil
}

// named returns the start of a prefix that a policy can name: some characters have a meaning
// there, and others need more room.
func named(prefix string) string {
	takes := 0
	for i, r := range prefix {
		takes++
		if r == ' ' {
			takes += len(space) - 1
		}
		if takes > maxNamed || r < ' ' || r > '~' || strings.ContainsRune(`*?$"\`, r) {
			return prefix[:i]
		}
	}
	return prefix
}

// space stands for a space in a policy: Ceph takes a space in a form for a '+'.
const space = `\u0020`

type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect, Action, Resource string
	Condition                map[string]map[string]string `json:",omitempty"`
}

// Policy returns the policy of the session, which narrows what the role allows: to list the
// keys that it reaches and, if content is set, to read their objects.
func (s Session) Policy(content bool) string {
	bucket := "arn:" + s.partition() + ":s3:::" + s.Reach.Bucket
	if strings.Contains(s.Reach.Bucket, ":") { // a tenant's
		bucket = "arn:" + s.partition() + ":s3::" + s.Reach.Bucket
	}
	list := statement{Effect: "Allow", Action: "s3:ListBucket", Resource: bucket}
	if s.Reach.Key != "" {
		list.Condition = map[string]map[string]string{"StringLike": {"s3:prefix": s.Reach.Key + "*"}}
	}
	p := policy{Version: "2012-10-17", Statement: []statement{list}}
	if content {
		p.Statement = append(p.Statement, statement{Effect: "Allow", Action: "s3:GetObject", Resource: bucket + "/" + s.Reach.Key + "*"})
	}
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // an escape takes six characters
	_ = e.Encode(p)        // strings only
	return strings.ReplaceAll(strings.TrimSpace(text.String()), " ", space)
}

// partition returns the part of AWS that the role is in. Other stores name buckets as AWS does.
func (s Session) partition() string {
	if p := strings.Split(s.Role.ARN, ":")[1]; strings.HasPrefix(p, "aws") {
		return p
	}
	return "aws"
}
