package catalog

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

// marks are the characters that end the name in a ref. Names that contain one cannot be
// resolved.
const marks = "~^@$"

// RefName returns the name that a ref starts with: that of a branch or a tag, or a commit's ID; "" if
// there is none.
func RefName(text string) string {
	if i := strings.IndexAny(text, marks); i >= 0 {
		return text[:i]
	}
	return text
}

// step leads from a commit to one of its ancestors.
type step struct {
	kind byte // '~': n times to the first parent; '^': to the n-th parent, or nowhere if n is 0
	n    int
}

// ref is a parsed ref: a name, and what follows it.
type ref struct {
	text   string
	name   string
	steps  []step
	branch bool // the name must be that of a branch
}

// parseRef reads a ref, or returns an Invalid fault.
func parseRef(text string) (ref, error) {
	r := ref{text: text, name: RefName(text)}
	rest := text[len(r.name):]
	switch {
	case rest == "":
		return r, nil
	case r.name == "":
		return r, badRef(text, "it has no name before the %q", text[:1])
	case rest == "@":
		r.branch = true
		return r, nil
	case rest == "$":
		return r, badRef(text, "reference to staging area with $ is not a commit")
	}
	for rest != "" {
		end := 1 + strings.IndexAny(rest[1:], marks)
		if end == 0 {
			end = len(rest)
		}
		s, err := parseStep(rest[:end])
		if err != nil {
			return r, badRef(text, "%s", err)
		}
		r.steps = append(r.steps, s)
		rest = rest[end:]
	}
	return r, nil
}

// parseStep reads '~' or '^' with an optional number, which is 1 if it is absent.
func parseStep(text string) (step, error) {
	s := step{kind: text[0], n: 1}
	if s.kind == '@' || s.kind == '$' {
		return s, fmt.Errorf("%q must follow the name of a branch, and end the ref", text[:1])
	}
	if len(text) == 1 {
		return s, nil
	}
	n, err := strconv.ParseUint(text[1:], 10, 31)
	if err != nil {
		return s, fmt.Errorf("%q is not a number", text[1:])
	}
	s.n = int(n)
	return s, nil
}

func badRef(text, format string, args ...any) error {
	return fault.BadField("ref", "%q is not valid: %s", text, fmt.Sprintf(format, args...))
}

// Resolve returns the commit that a ref points at. A ref is a commit's ID, the name of a
// branch, that of a tag, or the first digits of the ID of a single commit, and takes
// precedence in this order. Behind it there may be
//
//	~n  n times the first parent
//	^n  the n-th parent; ^0 is the commit itself
//	@   the head of a branch, with nothing before or after it
//
// in any number; without n it is 1. A ref that ends in $, the staging area of a branch, is
// Invalid, as there is none. Faults are Invalid (ref) and NotFound.
func (c *Catalog) Resolve(ctx context.Context, repository, ref string) (Commit, error) {
	h, err := c.open(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	return h.resolve(ctx, ref)
}

// resolve returns the commit of a ref; see Catalog.Resolve.
func (h history) resolve(ctx context.Context, text string) (Commit, error) {
	r, err := parseRef(text)
	if err != nil {
		return Commit{}, err
	}
	commit, branch, err := h.named(ctx, r.name)
	switch {
	case fault.Is(err, fault.NotFound):
		return Commit{}, missingRef(text)
	case err == nil && r.branch && !branch:
		return Commit{}, badRef(text, "%q is not a branch", r.name)
	}
	for _, s := range r.steps {
		if err != nil {
			return Commit{}, err
		}
		commit, err = h.step(ctx, r, commit, s)
	}
	return commit, err
}

func missingRef(text string) error { return fault.Missing(fmt.Sprintf("ref %q", text)) }

// named returns the commit that a name stands for, and whether it is that of a branch, or a
// NotFound fault.
func (h history) named(ctx context.Context, name string) (commit Commit, branch bool, err error) {
	commit, err = h.commit(ctx, name) // reads nothing unless the name has the form of an ID
	if !fault.Is(err, fault.NotFound) {
		return commit, false, err
	}
	b, err := h.branch(ctx, h.bucket.Get, name)
	if err == nil {
		commit, err = h.commit(ctx, b.CommitID)
	}
	if !fault.Is(err, fault.NotFound) {
		return commit, true, err
	}
	t, _, err := h.tag(ctx, name)
	if err == nil {
		commit, err = h.commit(ctx, t.CommitID)
	}
	if !fault.Is(err, fault.NotFound) {
		return commit, false, err
	}
	commit, err = h.abbreviated(ctx, name)
	return commit, false, err
}

// validAbbreviation is the form of the first digits of a commit's ID.
var validAbbreviation = regexp.MustCompile(`^[0-9a-f]{1,63}$`)

// abbreviated returns the only commit whose ID starts with some digits. If there are several,
// it is a NotFound fault, as in lakeFS.
func (h history) abbreviated(ctx context.Context, digits string) (Commit, error) {
	if !validAbbreviation.MatchString(digits) {
		return Commit{}, fault.Missing("commit")
	}
	base := commitKey(h.repository.root(), "")
	keys, err := h.bucket.Keys(ctx, base+digits)
	if err != nil {
		return Commit{}, fmt.Errorf("list commits of repository %q: %w", h.repository.ID, err)
	}
	if len(keys) != 1 {
		return Commit{}, fault.Missing("commit")
	}
	return h.commit(ctx, strings.TrimPrefix(keys[0], base))
}

// step follows a step of a ref. It reads a commit for each parent that it passes.
func (h history) step(ctx context.Context, r ref, from Commit, s step) (Commit, error) {
	if s.kind == '^' {
		switch {
		case s.n == 0:
			return from, nil
		case s.n > len(from.Parents):
			return Commit{}, badRef(r.text, "commit %s has %d parents", from.ID, len(from.Parents))
		}
		return h.commit(ctx, from.Parents[s.n-1])
	}
	for range s.n {
		if len(from.Parents) == 0 {
			return Commit{}, missingRef(r.text)
		}
		var err error
		if from, err = h.commit(ctx, from.Parents[0]); err != nil {
			return Commit{}, err
		}
	}
	return from, nil
}
