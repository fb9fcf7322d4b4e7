// Package catalog keeps repositories, branches and commits in a bucket: the
// standalone catalog.
//
// Commits are content-addressed and never change. A branch is the ID of a
// commit, and moves by compare-and-swap alone. Nothing is ever half done to a
// reader: what a record refers to is stored before it.
//
//	r.<repository>      its record
//	b.<root>.<branch>   the commit ID at its head
//	c.<root>.<id>       a commit
//	d.<root>.<branch>   the heads that resets took from it
//
// The root of a repository is its ID and its incarnation, so that one that was deleted
// leaves nothing to the next one of its ID: see Repository.root.
//
// Errors that the caller can mend are faults.
package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// Repository is a tree of objects with its history.
type Repository struct {
	ID               string            `json:"id"`                // 3 to 63 of a-z, 0-9 and '-'
	StorageNamespace string            `json:"storage_namespace"` // a URI, as objectstore.ParseURI reads it, whose key neither starts nor ends with a slash
	DefaultBranch    string            `json:"default_branch"`
	Created          time.Time         `json:"created"` // whole seconds, UTC
	Metadata         map[string]string `json:"metadata,omitempty"`
	Problem          string            `json:"-"`                     // why nothing but the ID is known, in lists: the record cannot be decoded; else ""
	Incarnation      string            `json:"incarnation,omitempty"` // of all repositories that ever had the ID; "" only of one made before there were incarnations
}

// root leads the names of what the repository holds.
func (r Repository) root() string { return root(r.ID, r.Incarnation) }

func root(id, incarnation string) string {
	if incarnation == "" {
		return id
	}
	return id + "=" + incarnation // of which no ID is a prefix: none has a '='
}

// Branch is a name for a commit.
type Branch struct {
	Name        string
	CommitID    string
	Incarnation string // of its repository
	Revision    uint64 // of the record: what MoveBranch compares
}

// Commit is a tree with a place in history.
type Commit struct {
	ID          string            `json:"id"` // see Identity
	Committer   string            `json:"committer"`
	Message     string            `json:"message"`
	MetarangeID string            `json:"metarange_id"` // "" is the empty tree
	Created     time.Time         `json:"created"`      // whole seconds, UTC
	Metadata    map[string]string `json:"metadata,omitempty"`
	Parents     []string          `json:"parents,omitempty"` // commit IDs; none for the first commit
	Generation  int               `json:"generation"`        // one more than the highest of the parents'; 1 for the first commit
}

// Catalog reads and writes a bucket. Its methods may be called concurrently, by
// any number of processes.
type Catalog struct {
	kv  queue.KV
	now func() time.Time
}

// New returns the catalog in the bucket, which holds nothing else.
func New(kv queue.KV) *Catalog { return &Catalog{kv: kv, now: time.Now} }

func repositoryKey(id string) string      { return "r." + id }
func branchKey(root, name string) string  { return "b." + root + "." + name }
func commitKey(root, id string) string    { return "c." + root + "." + id }
func droppedKey(root, name string) string { return "d." + root + "." + name }

var (
	validRepository = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{2,62}$`)
	validBranch     = regexp.MustCompile(`^[A-Za-z0-9_][-A-Za-z0-9_]*$`)
	validCommit     = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// maxBranchName is the length of the longest branch name: names are part of
// subjects, which NATS bounds.
const maxBranchName = 255

func checkBranchName(field, name string) error {
	if len(name) > maxBranchName || !validBranch.MatchString(name) {
		return fault.BadField(field, "%q is no valid branch name: want up to %d letters, digits, '_' and '-', not starting with '-'", name, maxBranchName)
	}
	return nil
}

// getter is one of the two ways to read a bucket, queue.KV's Get and Latest.
type getter func(ctx context.Context, key string) (value []byte, revision uint64, err error)

// read decodes the value of a key, or answers queue.ErrNotFound, or a fault.Broken with the
// revision.
func read[T any](ctx context.Context, get getter, key string) (v T, rev uint64, err error) {
	data, rev, err := get(ctx, key)
	if err != nil {
		return v, 0, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return *new(T), rev, fault.Unreadable(queue.BucketCatalog, key, err)
	}
	return v, rev, nil
}

// list returns the first `amount` of what get makes of the keys that start with
// base+prefix and lie after base+after, and whether there is more. get may say
// that there is nothing under a key, by queue.ErrNotFound, or nothing that can be decoded,
// by fault.Broken.
func list[T any](ctx context.Context, kv queue.KV, base, prefix, after string, amount int, get func(name string) (T, error)) (page []T, more bool, err error) {
	if amount < 1 {
		return nil, false, fault.BadField("amount", "%d is below 1", amount)
	}
	keys, err := kv.Keys(ctx, base+prefix)
	if err != nil {
		return nil, false, err
	}
	for _, key := range keys {
		name := strings.TrimPrefix(key, base)
		if name <= after {
			continue
		}
		v, err := get(name)
		switch {
		case errors.Is(err, queue.ErrNotFound) || fault.Is(err, fault.Broken):
			continue
		case err != nil:
			return nil, false, err
		case len(page) == amount:
			return page, true, nil
		}
		page = append(page, v)
	}
	return page, false, nil
}
