// Package keyspace measures distances between keys: how far one key lies above another, and
// which key lies at a given distance above one.
//
// Keys are taken for numbers: at every offset stands a digit of the alphabet that keys
// are seen to use there. Keys of a kilobyte make numbers of thousands of bits, so distances
// are kept as logarithms; the logarithm of the unit of an offset is its weight.
package keyspace
