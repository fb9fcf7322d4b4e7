// Package forecast estimates how much of a listing is still to come, and at which keys to
// cut what is left, from the keys that were listed so far. The estimates are guesses: a
// wrong one costs a LIST or some time, never a key.
//
// There are two models, because two callers ask different questions:
//
//   - Forecast tells a worker how many keys its partition has left, so that it can give
//     some of them to idle workers. It is asked about twice a second, about what follows
//     one key, so it can afford to remember the whole listing: a density for each depth of
//     the trie of keys. How many keys a day held tells what is left of the month, though
//     the last pages show but an hour.
//   - Pages tells a listing that reads ahead how many pages each of its segments has left.
//     It is asked with every page, about hundreds of segments, most of which begin at a
//     key that was made up: no path leads to them from the keys before. So it knows one
//     density for each segment, that of its last pages, and learns how far to doubt it.
//
// Both take keys for numbers in the alphabets of pkg/keyspace, and both learn, from all
// pages together, which digits keys use. The constants of each model stand in one place,
// at the top of trie.go and of pages.go, each with what it was measured or chosen by.
//
// The package is pure: no clock, goroutine or network.
package forecast
