package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"
)

// natsKey is by what coordinators prove to an embedded NATS server that they are not workers.
type natsKey struct {
	file   string // of the seed
	public string
}

// newKey makes a key, whose file is in a directory.
func newKey(dir string) (*natsKey, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("make an nkey: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return nil, fmt.Errorf("make an nkey: %w", err)
	}
	k := &natsKey{file: filepath.Join(dir, "coordinators.nkey")}
	if k.public, err = pair.PublicKey(); err != nil {
		return nil, fmt.Errorf("make an nkey: %w", err)
	}
	return k, os.WriteFile(k.file, seed, 0o600)
}
