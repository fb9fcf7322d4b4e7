// Package forecast estimates how much of a listing is still to come, and at which keys to
// cut what is left, from the keys that were listed so far. The estimates are guesses: a
// wrong one costs a LIST or some time, never a key.
//
// There are two models, because two callers ask different questions. A worker asks twice a
// second what follows one key, so Forecast can remember the whole listing: a density for
// each depth of the trie of keys. A listing that reads ahead asks with every page, about
// hundreds of segments, most of which begin at a key that was made up. So Pages knows one
// density for each segment, that of its last pages, and learns how far to doubt it.
//
// Both take keys for numbers in the alphabets of pkg/keyspace.
package forecast
