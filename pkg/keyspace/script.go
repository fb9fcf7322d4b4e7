package keyspace

import "unicode/utf8"

// Script is the characters beyond ASCII that keys were seen to use, at any offset. The zero
// Script has seen none. It is for one goroutine.
type Script struct {
	next map[string]*byteSet // the bytes that follow each beginning of a character
}

// Add learns the characters of a key.
func (s *Script) Add(k string) {
	for i := 0; i < len(k); {
		if k[i] < utf8.RuneSelf {
			i++
			continue
		}
		_, n := utf8.DecodeRuneInString(k[i:])
		for j := range n {
			set := s.next[k[i:i+j]]
			if set == nil {
				if s.next == nil {
					s.next = make(map[string]*byteSet)
				}
				set = new(byteSet)
				s.next[string([]byte(k[i:i+j]))] = set
			}
			set.add(k[i+j])
		}
		i += n
	}
}

// Narrow removes from the alphabet the bytes that continue no character of the script. The
// character at an offset is taken to begin as that of key k does.
func (s *Script) Narrow(a *Alphabet, k string) {
	if len(s.next) == 0 {
		return
	}
	begin := 0
	for at := range len(k) {
		if utf8.RuneStart(k[at]) {
			begin = at
		}
		if at < a.base || at >= a.base+len(a.sets) {
			continue
		}
		set := &a.sets[at-a.base]
		if at > begin {
			if seen := s.next[k[begin:at]]; seen != nil {
				*set = *seen
			}
			continue
		}
		leads := *set
		leads.intersect(&highBytes)
		if leads.size() > 0 {
			if seen := s.next[""]; seen != nil {
				set.intersect(&asciiBytes)
				set.union(*seen)
			}
		}
	}
	a.weigh()
}

var (
	asciiBytes = span(0, utf8.RuneSelf-1)
	highBytes  = span(utf8.RuneSelf, 0xFF)
)
