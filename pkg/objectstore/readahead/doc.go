// Package readahead lists an object store in key order with many LIST calls in flight, as
// many as the store bears (concurrency limit) and as fit into a budget of bytes
// (backpressure).
//
// A listing by pages is a chain: each call starts after the last key of the page
// before. To have more than one call in flight, the keys ahead of the consumer
// are cut into segments, each a chain of its own:
//
//	taken ──▶│ held pages │ rest ⋯│ held │ rest ⋯⋯⋯│ rest ⋯⋯⋯⋯⋯⋯⋯⋯⋯│
//	         └─ segment 1 (lo,hi] ─┴─ segment 2 ────┴─ segment 3 ──────┘
//
// Segments tile the key space, so where they are cut is a matter of cost alone: a
// cut that hits nothing wastes a LIST, and no key is lost or listed twice. The plan
// decides what to list next and what to cut, so that pages arrive about in the order in
// which they are needed, within a budget of bytes. How much each segment still holds, and
// at which keys to cut it, package forecast estimates from the keys that were listed.
//
// There are four parts: the plan (pure), the Limiter, which finds out how many LISTs the
// store bears at once, the lister with its goroutines and retries, and the walk, which needs
// no cuts and lists what cannot be cut safely.
package readahead
