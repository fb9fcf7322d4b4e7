package readahead

import (
	"math"
	"time"
)

// pace compares how long a consumer takes for a page with how long a LIST takes. From that it
// derives how many LISTs are worth having in flight: as many as the consumer takes
// pages meanwhile, and some to spare. If LISTs take no time, that is a handful, and
// hardly any of them is wasted.
type pace struct {
	take mean
	list low
}

// rate returns how many pages the consumer takes while a LIST lasts, +Inf as long as that is
// not known.
func (p *pace) rate() float64 {
	if p.take.n == 0 || p.list == 0 || p.take.value <= 0 {
		return math.Inf(1)
	}
	return typical * float64(p.list) / p.take.value
}

// limit returns how many of the allowed LISTs are worth having in flight.
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

// low follows the shortest durations, in seconds: it falls at once and rises slowly.
type low float64

func (l *low) add(d time.Duration) {
	if s := low(d.Seconds()); *l == 0 || s < *l {
		*l = s
	} else {
		*l += (s - *l) / 64
	}
}
