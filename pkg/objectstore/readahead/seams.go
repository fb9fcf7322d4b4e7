package readahead

// seams finds contradictions between LISTs: at the ends of segments, and about the end of
// all keys.
type seams[P paged[P]] struct {
	torn  bool // two LISTs contradict each other
	ended bool // the store said that nothing follows endAt, and segments behind it were not listed
	endAt string
}

// check checks a LIST of s, with n entries up to last, against what the store said before. more
// is whether the store said that keys follow it.
func (m *seams[P]) check(s *segment[P], n int, last string, more bool) {
	switch {
	case s.lists == 0 && s.expected && s.begins != s.expect:
		m.torn = true
	case n == 0 && !more && s.promised:
		m.torn = true
	case n > 0 && m.ended && last > m.endAt:
		m.torn = true
	}
}

// adjoin checks the first LIST of a segment against what the last page of the segment before
// shows behind its end: a key, that there is some key (more), or that there is none. They
// differ only if the store changes just there, or does not keep to the start of a LIST: some
// stores skip a key if the start is no key.
func (m *seams[P]) adjoin(next *segment[P], key string, more bool) {
	listed := next.lists > 0
	switch {
	case key == "" && more:
		next.promised = !listed
		m.torn = m.torn || listed && next.begins == ""
	case listed:
		m.torn = m.torn || next.begins != key
	default:
		next.expected, next.expect = true, key
	}
}

// end records that nothing follows a key, and that segments behind it are not listed.
func (m *seams[P]) end(last string) {
	if !m.ended || last < m.endAt {
		m.ended, m.endAt = true, last
	}
}
