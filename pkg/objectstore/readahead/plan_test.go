package readahead

import (
	"math"
	"testing"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/forecast"
)

// A page may show the end of the store, and be clipped at the end of its segment. The keys
// behind that belong to other segments, whether these were begun or not.
func TestKeysBehindAClippedPageAreListedAgain(t *testing.T) {
	set := keyset.Of("a", "b", "c")
	p := newPlan[slice]("", "", "", 1<<20)
	made := []*segment[slice]{{rest: forecast.Rest{Hi: "a"}}, {rest: forecast.Rest{Pos: "a", Hi: "b"}}, {rest: forecast.Rest{Pos: "b"}}}
	for _, s := range made {
		s.rest.Pages = 1
	}
	p.segments = append([]*segment[slice](nil), made...)
	for _, s := range made[:2] {
		s.inFlight = true
		p.inFlight++
	}
	for i, s := range made[:2] {
		p.arrived(call[slice]{s, s.rest.Pos}, slice{&set, int64(i), 3}, false)
	}
	for c, ok := p.next(1, 1); ok; c, ok = p.next(1, 1) {
		p.arrived(c, slice{&set, set.Rank(c.after), 3}, false)
	}
	var keys []string
	for {
		page, ok, done := p.take()
		if done {
			break
		}
		if !ok {
			t.Fatalf("nothing follows %q", keys)
		}
		for i := range page.Len() {
			keys = append(keys, page.key(i))
		}
	}
	if len(keys) != 3 || p.seams.torn {
		t.Errorf("keys %q, torn: %v", keys, p.seams.torn)
	}
}

// Once a consumer reads less far than it said, only a few pages beyond its new end are listed,
// wherever the pages in flight and those held lie.
func TestNarrow(t *testing.T) {
	const page, limit = 1000, 16
	set, err := keyset.New("md5", 1_000_000, 1)
	if err != nil {
		t.Fatal(err)
	}
	upto := set.Key(200_000)
	for _, listed := range []int{0, 1, 40, 300} {
		p := newPlan[slice]("", "", "", 1<<30)
		calls, beyond := 0, 0
		var flying []call[slice]
		for {
			if calls == listed {
				p.narrow(upto)
				p.narrow(set.Key(900_000)) // it only comes nearer
			}
			for c, ok := p.next(limit, 1); ok; c, ok = p.next(limit, 1) {
				flying = append(flying, c)
				if calls >= listed && c.after >= upto {
					beyond++
				}
			}
			if len(flying) == 0 {
				break
			}
			c := flying[0]
			flying = flying[1:]
			lo := set.Rank(c.after)
			p.arrived(c, slice{&set, lo, min(lo+page, set.Len())}, lo+page < set.Len())
			calls++
		}
		if most := pastUpto + 1; beyond > most || p.past < 0 { // one more, whose page may hold no key that counts
			t.Errorf("%d LISTs beyond the end after %d, want at most %d", beyond, listed, most)
		}
		for at := int64(0); at < 200_000; {
			got, ok, _ := p.take()
			if !ok || got.lo != at {
				t.Fatalf("%d LISTs: the page at %d is missing", listed, at)
			}
			at = got.hi
		}
	}
}

// Few LISTs list only a part of the buffer at once. They list only a part of what is left
// before a known end, too: the rest may be given away.
func TestLag(t *testing.T) {
	const pages, limit, fast = 600, 4, 1e9
	p := newPlan[slice]("", "a", "m", pages)
	p.buffer.pageSize = 1
	for left, want := range map[float64]float64{
		8:    8 * given / limit,
		100:  100 * given / limit,
		4000: pages * lagging / limit,
	} {
		p.segments[0].rest.Pages = left
		p.segments[1].rest.Pages = 1e6 // behind the end of the partition
		if got := p.lag(limit, fast); math.Abs(got-want) > 1e-6 {
			t.Errorf("%v pages left: %v LISTs, want %v", left, got, want)
		}
	}
	p.upto, p.segments[0].rest.Pages = "", 8
	if got, want := p.lag(limit, fast), pages*lagging/float64(limit); math.Abs(got-want) > 1e-6 {
		t.Errorf("open end: %v LISTs, want %v", got, want)
	}
	if got := p.lag(limit, limit/2); got != 0 {
		t.Errorf("a slow consumer: %v LISTs, want 0", got)
	}
}

// Doubt is how far the next page moves estimates: little for hashes, much for logs.
func TestDoubtDistinguishesShapes(t *testing.T) {
	for shape, want := range map[string][2]float64{"md5": {0, 0.1}, "prefix200": {0, 0.1}, "hive": {0.3, 1}, "fractal": {0.3, 1}} {
		set, err := keyset.New(shape, 300_000, 1)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlan[slice]("", "", "", 1<<30)
		for calls := []call[slice]{}; ; calls = calls[1:] {
			for c, ok := p.next(16, 70); ok; c, ok = p.next(16, 70) {
				calls = append(calls, c)
			}
			if len(calls) == 0 {
				break
			}
			lo := set.Rank(calls[0].after)
			hi := min(lo+1000, set.Len())
			p.arrived(calls[0], slice{&set, lo, hi}, hi < set.Len())
		}
		if d := p.forecast.Doubt; d < want[0] || d > want[1] {
			t.Errorf("%s: a doubt of %.2f, want %v", shape, d, want)
		}
	}
}
