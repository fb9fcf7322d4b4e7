// Package client is exempt.
package client

// Call is not used.
func Call() {}
