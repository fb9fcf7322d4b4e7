package readahead

// choose returns the nearest segment that may be listed on, and on its way cuts
// what would be late: a segment that takes longer to be listed to its end than
// the consumer to get there.
func (p *plan[P]) choose(limit int, rate float64) *segment[P] {
	lag := p.lag(limit, rate)
	s := p.walk(limit, rate, lag, lag)
	if s == nil && lag > 0 { // LISTs are idle
		s = p.walk(limit, rate, 0, lag)
	}
	return s
}

// walk is choose where the consumer may be kept waiting for so many LISTs more;
// what is cut is cut into pieces that long, if there is enough of it for all.
func (p *plan[P]) walk(limit int, rate, lag, long float64) *segment[P] {
	ahead, unlisted, guesses := 0.0, 0.0, 0
	thrift, end := p.thrift(), reach*p.window()
	hungry := long == 0 && float64(p.held) >= ready*rate*p.pageSize
	for i := 0; i < len(p.segments) && ahead <= end; i++ {
		s := p.segments[i]
		if s.guess {
			guesses++
		}
		due := max(ahead/rate, unlisted/float64(limit))
		careful := caution * p.doubtOf(s)
		patience := slack + careful + lag + thrift*hurry*due
		if hungry {
			patience = min(patience, thrift*(tight+careful/3)+due)
		}
		if p.late(s, patience) {
			idle := limit - p.inFlight
			first := max(patience, min(long, s.rest/float64(idle+1)))
			growth := thrift * hurry * max(1/rate, 1/float64(limit))
			p.cutSegment(i, min(p.allowance(guesses), idle), tiling{first, growth, end - ahead})
		}
		if !s.done && !s.inFlight && p.admits(i, ahead) {
			return s
		}
		rest := s.rest
		if !s.done {
			rest = max(rest, 1)
		}
		ahead += float64(len(s.pages)) + rest
		unlisted += rest
	}
	return nil
}

// lag is for how many LISTs a consumer may be kept waiting because it makes up for
// that: one that is faster than its LISTs waits anyhow, and what is listed meanwhile
// is not lost, but kept in a part of the budget.
//
// What lies far ahead may be given away, and was then listed in vain. So of what
// is left before upto the first part only is listed, the less the nearer that is.
func (p *plan[P]) lag(limit int, rate float64) float64 {
	pages := lagging * p.window()
	if p.upto != "" {
		pages = min(pages, given*p.left())
	}
	return max(0, 1-float64(limit)/rate) * pages / float64(limit)
}

// left is how many pages are expected before upto that were not taken.
func (p *plan[P]) left() (pages float64) {
	for _, s := range p.segments {
		if p.isPast(s) {
			break
		}
		pages += float64(len(s.pages)) + s.rest
	}
	return pages
}

// How long segments may be: slack is how many LISTs the consumer may be kept
// waiting for one, and caution how many more the more doubtful estimates are: a piece
// that ends somewhere wastes half a LIST, and one that ends with a full page hardly any.
// hurry is how much of the time until the consumer gets there is used, for not
// all LISTs take as long. reach is how far from it one may lie, in windows, for
// what lies before is taken while it is listed.
const (
	slack   = 2
	caution = 7
	hurry   = 0.6
	reach   = 1.25
	// Where much is held that lies behind what the consumer waits for, each LIST that it
	// waits is lost: tight is slack then, with a third of the caution. It is much if the
	// consumer needs as long for that as `ready` LISTs last.
	tight = 1
	ready = 2
	// lagging is the part of the budget that is used up while the consumer waits
	// for a segment, if it can make up for that.
	lagging = 1.0 / 6
	// given is the part of what is left that is listed at once then.
	given = 1.0 / 4
)

// window returns how many pages the budget holds, and free how many more now.
func (p *plan[P]) window() float64 { return float64(p.budget) / max(1, p.pageSize) }

func (p *plan[P]) free() float64 {
	return p.window() - float64(p.held)/max(1, p.pageSize) - float64(p.inFlight)
}

// pastUpto is how many pages past upto are listed before the first is taken.
const pastUpto = 4

// admits reports whether segment i may be listed on, with so many pages lying
// before it. The first always may, or nothing would ever be taken. The nearer a
// segment is the more of the budget it may use, or segments far ahead that turn
// out longer than estimated would leave the first alone with its rest.
func (p *plan[P]) admits(i int, ahead float64) bool {
	s := p.segments[i]
	switch {
	case i == 0:
		return true
	case p.useful == 0:
		return false
	case p.isPast(s) && p.past >= pastUpto+p.passed:
		return false
	default:
		return p.free() >= 1+reserve*min(ahead, p.window())
	}
}

// reserve is the part of the budget that is kept for segments nearer than those
// a window ahead.
const reserve = 0.25
