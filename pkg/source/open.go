package source

import (
	"strings"

	"github.com/rangefleet/rangefleet/pkg/imports"
)

// OpenAtOnce returns how many listings of the paths are open at the same time at most: a
// listing holds pages from the first key of its destination to the last. An invalid path is
// an error.
func OpenAtOnce(paths []imports.Path) (most int, err error) {
	s := &Source{paths: make([]path, len(paths))}
	for i, p := range paths {
		s.paths[i].rank = i
		if s.paths[i].Mapping, err = NewMapping(p); err != nil {
			return 0, err
		}
	}
	spans := s.destinations()
	for _, at := range spans { // the most are open where one of them begins
		open := 0
		for _, d := range spans {
			if d.holds(at.first) {
				open++
			}
		}
		most = max(most, open)
	}
	return most, nil
}

// destination is the keys of one stream of a listing: those with the prefix first or,
// of a layer of objects, those from first to last.
type destination struct {
	first, last string // last is empty for a prefix
}

func (d destination) holds(key string) bool {
	if d.last == "" {
		return strings.HasPrefix(key, d.first)
	}
	return d.first <= key && key <= d.last
}

// destinations returns those of the streams that List merges.
func (s *Source) destinations() []destination {
	var all []destination
	var objects []path
	for _, p := range s.paths {
		if p.object {
			objects = append(objects, p)
		} else {
			all = append(all, destination{first: p.first()})
		}
	}
	for _, l := range layers(objects) {
		all = append(all, destination{first: l[0].root, last: l[len(l)-1].root})
	}
	return all
}
