package readahead

import (
	"math"
	"testing"
	"time"
)

func TestDemandBoundsListsByTheConsumer(t *testing.T) {
	for name, c := range map[string]struct {
		take, list time.Duration
		least      int
		most       int
	}{
		"far store":               {time.Millisecond, 50 * time.Millisecond, 75, 100},
		"near store":              {time.Millisecond, time.Millisecond, 3, 5},
		"consumer slower by much": {time.Second, 50 * time.Millisecond, 3, 3},
		"consumer takes no time":  {0, time.Millisecond, 1000, 1000},
	} {
		var p demand
		if !math.IsInf(p.rate(), 1) || p.limit(1000) != 1000 {
			t.Errorf("%s: a limit of %d before anything is known", name, p.limit(1000))
		}
		for i := range 100 {
			p.take.add(c.take)
			p.list.add(c.list * time.Duration(1+i%3)) // it is the fastest that count
		}
		if got := p.limit(1000); got < c.least || got > c.most {
			t.Errorf("%s: %d LISTs, want %d to %d", name, got, c.least, c.most)
		}
		if got := p.limit(2); got != 2 {
			t.Errorf("%s: %d LISTs of 2 allowed", name, got)
		}
	}
}
