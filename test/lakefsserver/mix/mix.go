// Package mix makes up requests of all kinds that a lakeFS server is sent: by its clients, by
// S3's, by browsers, and by programs that are wrong.
package mix

import (
	"math/rand/v2"
)

// Mix makes up requests. It must not be used concurrently.
type Mix struct {
	dice  dice
	kinds []kind
	all   int // the sum of their weights
}

// kind is a kind of requests.
type kind struct {
	name   string
	weight int
	make   func(*dice) Request
}

// New returns a mix. Assets are paths of files of the web UI.
func New(rng *rand.Rand, assets []string) *Mix {
	m := Mix{dice: dice{rng}, kinds: []kind{
		{"read", 20, read},
		{"content", 15, content},
		{"listing", 10, listing},
		{"upload", 10, upload},
		{"change", 10, change},
		{"s3", 20, s3},
		{"odd path", 10, oddPath},
		{"bad request", 10, bad},
		{"written by hand", 4, byHand},
		{"session", 6, session},
		{"web ui", 8, func(d *dice) Request { return webUI(d, assets) }},
		{"unknown path", 4, unknown},
	}}
	for _, k := range m.kinds {
		m.all += k.weight
	}
	return &m
}

// Next returns a request, and the name of its kind.
func (m *Mix) Next() (kind string, r Request) {
	n := m.dice.rng.IntN(m.all)
	for _, k := range m.kinds {
		if n < k.weight {
			return k.name, k.make(&m.dice)
		}
		n -= k.weight
	}
	panic("the weights are wrong")
}
