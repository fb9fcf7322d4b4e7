package readahead

import (
	"math"
	"time"
)

// pace compares how long a consumer takes for a page with how long a LIST takes.
// It bounds how many LISTs are worth having in flight: no more than the pages
// that the consumer takes meanwhile, and some to spare. Where LISTs take no time,
// that is a handful, and hardly any of them is wasted.
type pace struct {
	take mean
	list low
}

// spare is how many LISTs more than needed are in flight, for they do not all take
// as long; few is how many are even if one would do.
const (
	spare = 1.5
	few   = 3
)

// typical is how long a LIST takes, over the fastest ones. Their mean would do if it
// did not grow with the calls in flight where the processor is what they wait for.
const typical = 1.25

// rate returns how many pages the consumer takes while a LIST lasts; as long as
// that is not known, any number.
func (p *pace) rate() float64 {
	if p.take.n == 0 || p.list == 0 || p.take.value <= 0 {
		return math.Inf(1)
	}
	return typical * float64(p.list) / p.take.value
}

// limit returns how many of the LISTs allowed are worth having in flight.
func (p *pace) limit(allowed int) int {
	if worth := few + spare*p.rate(); worth < float64(allowed) {
		return int(worth)
	}
	return allowed
}

// mean is a moving average of durations, in seconds.
type mean struct {
	value float64
	n     int
}

func (m *mean) add(d time.Duration) {
	m.n = min(m.n+1, 32)
	m.value += (d.Seconds() - m.value) / float64(m.n)
}

// low follows the shortest durations, in seconds: down at once, up slowly.
type low float64

func (l *low) add(d time.Duration) {
	if s := low(d.Seconds()); *l == 0 || s < *l {
		*l = s
	} else {
		*l += (s - *l) / 64
	}
}
