package ctl

import (
	"strings"
)

const scheme = "lakefs://"

// place is a parsed lakefs://repository/ref/path. The path is exact: nothing in
// it is decoded.
type place struct {
	repository, ref, path string
}

// String is the inverse of the parsers.
func (p place) String() string {
	s := scheme + p.repository
	if p.ref != "" {
		s += "/" + p.ref
	}
	if p.path != "" {
		s += "/" + p.path
	}
	return s
}

// root is the place without its path.
func (p place) root() place { return place{repository: p.repository, ref: p.ref} }

// at parses lakefs://repository/ref, with or without a path.
func at(uri string) (place, error) {
	rest, ok := strings.CutPrefix(uri, scheme)
	p := place{}
	p.repository, rest, _ = strings.Cut(rest, "/")
	p.ref, p.path, _ = strings.Cut(rest, "/")
	if !ok || p.repository == "" || p.ref == "" {
		return p, advise(usage("%q: want lakefs://repository/branch, or with a path after it", uri), placeHint(uri))
	}
	return p, nil
}

// atRef parses lakefs://repository/ref, without a path.
func atRef(uri string) (place, error) {
	p, err := at(strings.TrimSuffix(uri, "/"))
	if err == nil && p.path != "" {
		err = usage("%q: want lakefs://repository/branch, without a path", uri)
	}
	return p, err
}

// atPath parses lakefs://repository/ref/path.
func atPath(uri string) (place, error) {
	p, err := at(uri)
	if err == nil && p.path == "" {
		err = usage("%q: want lakefs://repository/ref/path", uri)
	}
	return p, err
}

// inRepository parses lakefs://repository, or just the name.
func inRepository(uri string) (place, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(uri, scheme), "/")
	if name == "" || strings.Contains(name, "/") {
		return place{}, usage("%q: want lakefs://repository", uri)
	}
	return place{repository: name}, nil
}
