//go:build !linux

package node

// forbidCoreDumps does nothing on systems that are not known to support it.
func forbidCoreDumps() error { return nil }
