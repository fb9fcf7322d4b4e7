package catalog

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// identity returns the commit's ID, 64 hex digits: the hash that lakeFS computes for a
// commit, of all fields except ID and Generation.
func (c Commit) identity() string {
	return ident.Commit{
		Committer: c.Committer, Message: c.Message, MetarangeID: c.MetarangeID, Created: c.Created.Unix(), Metadata: c.Metadata, Parents: c.Parents,
	}.ID()
}

// textSize returns the size of message and metadata in bytes.
func (c Commit) textSize() int {
	size := len(c.Message)
	for name, value := range c.Metadata {
		size += len(name) + len(value)
	}
	return size
}

// CheckText returns an Invalid fault if the message or the metadata of a commit is too long.
// Prefix precedes the names of both fields.
func CheckText(prefix, message string, metadata map[string]string) error {
	size := Commit{Metadata: metadata}.textSize()
	if size > limits.Metadata {
		return fault.BadField(prefix+"metadata", "%d bytes, at most %d are allowed", size, limits.Metadata)
	}
	return limits.Bytes(prefix+"message", message, limits.Message)
}

// AddCommit stores a commit under its identity, and returns it with its ID and with Created
// truncated to seconds. Adding it again is harmless. The caller is responsible for the
// parents and the generation.
func (c *Catalog) AddCommit(ctx context.Context, repository string, commit Commit) (Commit, error) {
	h, err := c.open(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	return h.addCommit(ctx, commit)
}

// Commit returns the commit with the ID, or a NotFound fault.
func (c *Catalog) Commit(ctx context.Context, repository, id string) (Commit, error) {
	h, err := c.open(ctx, repository)
	if err != nil {
		return Commit{}, err
	}
	return h.commit(ctx, id)
}
