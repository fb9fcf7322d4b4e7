package progress

import (
	"math"
	"time"
)

const (
	// A guess is worth telling if it says something of at least nine of ten partitions, and if
	// at most a half of the keys lie where nothing tells whether there are any.
	unheardTenth = 10
	wildHalf     = 2
	// widest is how many times an estimate its upper bound may be. Beyond that it says nothing.
	widest = 100
	// vague is how many times its lower bound an estimate may be if the time that is left is told.
	vague = 8
	// mostRemaining bounds the time that is shown.
	mostRemaining = 365 * 24 * time.Hour
)

// sum adds guesses.
type sum struct {
	keys, low, high float64
	wild            float64 // keys of wild guesses
	boundless       int     // guesses without a bound
	known           int     // guesses
}

func (s *sum) add(g Guess)    { s.change(g, 1) }
func (s *sum) remove(g Guess) { s.change(g, -1) }

func (s *sum) change(g Guess, sign int) {
	if !g.Some {
		return
	}
	by := float64(sign)
	s.known += sign
	s.keys += by * float64(g.Keys)
	s.low += by * float64(g.Low)
	s.high += by * float64(g.High)
	if g.Wild {
		s.wild += by * float64(g.Keys)
	}
	if g.High == 0 && g.Keys > 0 {
		s.boundless += sign
	}
}

// estimate returns the number of all keys of an import, of which some were listed. The sum is
// that of what is left of outstanding partitions.
func (s *sum) estimate(listed int64, outstanding int) Guess {
	unheard := max(0, outstanding-s.known)
	if unheard*unheardTenth > outstanding || s.wild*wildHalf > float64(listed)+s.keys || listed == 0 {
		return Guess{}
	}
	g := NewGuess(float64(listed)+s.low, float64(listed)+s.keys, float64(listed)+s.high)
	if s.boundless > 0 || unheard > 0 || g.High > widest*g.Keys {
		g.High = 0
	}
	return g
}

// refutation keeps estimates from being told that proved wrong: much more was listed than the bound
// that an estimate had. Some keys give no sign of how many there are, and each estimate of them says
// that they are about to end.
type refutation struct {
	listed, high int64 // when the lowest bound was told, and that bound; 0 if there is none
	until        int64 // until so many keys are listed, no estimate is told by which most are
}

// refutedBy is how many times the bound the keys that are listed must be.
const refutedBy = 1.1

// check returns an estimate if it is to be told. It forgets a bound once the keys are twice as many
// as when it was told: little was known then.
func (r *refutation) check(g Guess, listed int64) Guess {
	if r.high > 0 && float64(listed) > refutedBy*float64(r.high) {
		r.high, r.until = 0, 2*listed
	}
	if g.High > 0 && (r.high == 0 || g.High < r.high || listed >= 2*r.listed) {
		r.listed, r.high = listed, g.High
	}
	if listed < r.until && g.High > 0 && g.High < 2*listed {
		return Guess{}
	}
	return g
}

// remaining returns how long keys take at a rate.
func remaining(keys int64, perSecond float64) time.Duration {
	seconds := float64(max(keys, 0)) / perSecond
	return time.Duration(min(seconds, mostRemaining.Seconds()) * float64(time.Second))
}

const (
	rateOver    = 5 * time.Second        // the time over which the rate is averaged
	rateBetween = 200 * time.Millisecond // between two samples at least
)

// rate is a moving average of how fast a number grows. The weight of what was seen falls to 1/e
// within rateOver.
type rate struct {
	begun     bool
	last      int64
	at        time.Time
	perSecond float64 // times weight
	weight    float64 // of all that was seen; it grows to 1
}

// observe takes in the number as it is now, and returns the average.
func (r *rate) observe(n int64, now time.Time) float64 {
	passed := now.Sub(r.at)
	switch {
	case !r.begun:
		r.begun, r.last, r.at = true, n, now
	case passed >= rateBetween:
		keep := math.Exp(-passed.Seconds() / rateOver.Seconds())
		r.perSecond = keep*r.perSecond + (1-keep)*float64(n-r.last)/passed.Seconds()
		r.weight = keep*r.weight + 1 - keep
		r.last, r.at = n, now
	}
	if r.weight == 0 {
		return 0
	}
	return r.perSecond / r.weight
}
