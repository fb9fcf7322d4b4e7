// Package catalog stores repositories, branches and commits in a key-value bucket: a
// version-control catalog in the manner of lakeFS.
//
// Commits are content-addressed and immutable. A branch is the ID of a commit, and is moved
// by compare-and-swap only. Readers never see a partial change: what a record refers to is
// stored before the record. The keys are
//
//	r.<repository>      the record of a repository
//	b.<root>.<branch>   the commit ID at the head of a branch; see Branch.value
//	c.<root>.<id>       a commit
//	t.<root>.<tag>      the commit ID of a tag, whose name is in hexadecimal digits
//	d.<root>.<branch>   the heads that resets dropped from a branch
//
// The root of a repository is made of its ID and its incarnation, so that a repository
// inherits nothing from a deleted one with the same ID: see Repository.root.
//
// Errors that the caller can correct are faults.
package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Repository is a tree of objects with its history.
type Repository struct {
	ID               string            `json:"id"`                // 3 to 63 of a-z, 0-9 and '-'
	StorageNamespace string            `json:"storage_namespace"` // a URI, as objectstore.ParseURI reads it, whose key neither starts nor ends with a slash
	DefaultBranch    string            `json:"default_branch"`
	Created          time.Time         `json:"created"` // whole seconds, UTC
	Metadata         map[string]string `json:"metadata,omitempty"`
	Problem          string            `json:"-"`                     // in lists: why the record cannot be decoded, so that only the ID is known; else ""
	Incarnation      string            `json:"incarnation,omitempty"` // unique among all repositories that ever had the ID; "" for one created before there were incarnations
}

// root starts the keys of all that belongs to the repository.
func (r Repository) root() string { return root(r.ID, r.Incarnation) }

func root(id, incarnation string) string {
	if incarnation == "" {
		return id
	}
	return id + "=" + incarnation // IDs contain no '=', so none is a root
}

// Branch is a name for a commit.
type Branch struct {
	Name        string
	CommitID    string
	Hidden      bool   // left out of Branches.List
	Incarnation string // of its repository
	Revision    uint64 // of the record: what MoveBranch compares
}

// Commit is a tree with a place in history.
type Commit struct {
	ID          string            `json:"id"` // see Commit.identity
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
	records records
}

// New returns the catalog in the bucket, which must hold nothing else.
func New(bucket kv.Bucket) *Catalog { return &Catalog{records{bucket: bucket, now: time.Now}} }

// open returns what a repository holds, or a NotFound fault.
func (c *Catalog) open(ctx context.Context, repository string) (history, error) {
	r, err := c.Repository(ctx, repository)
	return history{c.records.bucket, r}, err
}

func repositoryKey(id string) string      { return "r." + id }
func branchKey(root, name string) string  { return "b." + root + "." + name }
func commitKey(root, id string) string    { return "c." + root + "." + id }
func droppedKey(root, name string) string { return "d." + root + "." + name }

var (
	validRepository = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{2,62}$`)
	validBranch     = regexp.MustCompile(`^[A-Za-z0-9_][-A-Za-z0-9_]*$`)
	validCommit     = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// maxBranchName is the length of the longest branch name. Names are part of subjects, whose
// length NATS bounds.
const maxBranchName = 255

func checkBranchName(field, name string) error {
	if len(name) > maxBranchName || !validBranch.MatchString(name) {
		return fault.BadField(field, "%q is not a valid branch name: want up to %d letters, digits, '_' and '-', not starting with '-'", name, maxBranchName)
	}
	return nil
}

// explain adds to an error what failed, unless it is a fault.
func explain(err error, format string, args ...any) error {
	if _, ok := errors.AsType[*fault.Fault](err); ok || err == nil {
		return err
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// getter is one of the two methods to read a bucket, kv.Bucket's Get and GetLinearized.
type getter func(ctx context.Context, key string) (value []byte, revision uint64, err error)

// read returns the decoded value of a key, kv.ErrNotFound, or a fault.Broken with the
// revision.
func read[T any](ctx context.Context, get getter, key string) (v T, rev uint64, err error) {
	data, rev, err := get(ctx, key)
	if err != nil {
		return v, 0, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return *new(T), rev, fault.Unreadable(kv.BucketCatalog, key, err)
	}
	return v, rev, nil
}

// put stores the JSON of a value. It replaces the revision of the key, or nothing if that is 0.
func put(ctx context.Context, bucket kv.Bucket, key string, v any, rev uint64) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("encode %s: %w", key, err)
	}
	if rev == 0 {
		return bucket.Create(ctx, key, data)
	}
	return bucket.Update(ctx, key, data, rev)
}

// list calls get for the keys that start with base+prefix and follow base+after, in order.
// It returns the first `amount` results, and whether there are more. Keys for which get
// returns kv.ErrNotFound, or a NotFound or Broken fault, are left out.
func list[T any](ctx context.Context, bucket kv.Bucket, base, prefix, after string, amount int, get func(name string) (T, error)) (page []T, more bool, err error) {
	if amount < 1 {
		return nil, false, fault.BadField("amount", "%d is below 1", amount)
	}
	keys, err := bucket.Keys(ctx, base+prefix)
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
		case errors.Is(err, kv.ErrNotFound), fault.Is(err, fault.NotFound), fault.Is(err, fault.Broken):
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
