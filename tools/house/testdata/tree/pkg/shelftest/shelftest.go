// Package shelftest is made for tests.
package shelftest

// Fake is used by a test, which counts.
func Fake() {}
