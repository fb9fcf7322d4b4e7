package readahead

// waste is what cuts have cost: LISTs beyond the pages that they brought.
type waste struct {
	lists  int     // that arrived
	useful float64 // full pages' worth of entries that arrived
	trust  float64 // how many segments may be cut off ahead of their first LISTs
}

func (w *waste) wasted() float64 { return float64(w.lists) - w.useful }

// thrift is how many times more patient to be for what was wasted. window is how many pages
// the buffer holds.
func (w *waste) thrift(window float64) float64 {
	bound := float64(stingy)
	if w.useful > settledAfter*window {
		bound = settled
	}
	return min(bound, max(1, w.wasted()/(thriftyFirst+thriftyShare*w.useful)))
}

// allowance is how many more segments may be cut off now on a guess that they hold keys;
// guesses is how many are open. It grows while most guesses are right, and shrinks
// quickly when they are wrong.
func (w *waste) allowance(guesses int) int {
	if w.wasted() > wastefulFirst+wastefulShare*w.useful {
		return max(1, int(w.trust/4)) - guesses
	}
	return int(w.trust) - guesses
}

// guessed learns from the first LIST of a segment that was cut off whether it holds a key.
func (w *waste) guessed(right bool) {
	if right {
		w.trust++
	} else {
		w.trust = max(leastTrust, w.trust*lessTrust)
	}
}
