package ident

import (
	"crypto/sha256"
	"encoding/hex"
)

// Commit is what the ID of a commit depends on.
type Commit struct {
	Committer, Message string
	MetarangeID        string
	Created            int64 // seconds since 1970
	Metadata           map[string]string
	Parents            []string // IDs
}

// ID returns the ID that lakeFS gives the commit: 64 hex digits, the hash of all fields.
func (c Commit) ID() string {
	var items []byte
	for _, text := range []string{"commit:v1", c.Committer, c.Message, c.MetarangeID} {
		items = AppendString(items, text)
	}
	items = AppendInt64(items, c.Created)
	items = AppendStringMap(items, c.Metadata)
	parents := sha256.Sum256(AppendStringSlice(nil, c.Parents))
	id := sha256.Sum256(AppendIdentity(items, parents[:]))
	return hex.EncodeToString(id[:])
}
