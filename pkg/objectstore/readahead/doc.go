// Package readahead lists a store in key order with many LIST calls in flight.
//
// A listing by pages is a chain: each call starts after the last key of the page
// before. To have more than one call in flight, the keys ahead of the consumer
// are cut into segments, each a chain of its own:
//
//	taken ──▶│ held pages │ rest ⋯│ held │ rest ⋯⋯⋯│ rest ⋯⋯⋯⋯⋯⋯⋯⋯⋯│
//	         └─ segment 1 (lo,hi] ─┴─ segment 2 ────┴─ segment 3 ──────┘
//
// Segments tile the key space, so where they are cut is a matter of cost alone: a
// cut that hits nothing wastes a LIST, and no key is lost or listed twice. The
// plan guesses from the keys that it has seen how much each segment still holds
// and where to cut it, so that pages arrive about in the order in which they are
// needed, within a budget of bytes.
//
// Three parts: plan (what to list next; pure), Limiter (how many calls a store is
// given at once; pure but for its lock), lister (goroutines, retries, order).
package readahead
