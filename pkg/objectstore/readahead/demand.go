package readahead

import (
	"math"
	"time"
)

// demand compares how long a consumer takes for a page with how long a LIST takes. From that it
// derives how many LISTs are worth having in flight: as many as the consumer takes
// pages meanwhile, and some to spare. If LISTs take no time, that is a handful, and
// hardly any of them is wasted.
type demand struct {
	take mean
	list low
}

// rate returns how many pages the consumer takes while a LIST lasts, +Inf as long as that is
// not known.
func (d *demand) rate() float64 {
	if d.take.n == 0 || d.list == 0 || d.take.value <= 0 {
		return math.Inf(1)
	}
	return typical * float64(d.list) / d.take.value
}

// limit returns how many of the allowed LISTs are worth having in flight.
func (d *demand) limit(allowed int) int {
	if worth := few + spare*d.rate(); worth < float64(allowed) {
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
