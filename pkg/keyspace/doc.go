// Package keyspace measures the space between keys: how far one key lies above
// another, and which key lies so far above one.
//
// The distance between two keys is measured as if keys were numbers: at every
// offset stands a digit of the alphabet that keys are seen to use there. Keys of
// a kilobyte make numbers of thousands of bits, so distances are kept as
// logarithms; that of an offset's unit is its weight.
//
// It is pure: no clock, goroutine or network.
package keyspace
