// Package kv is a key-value store with compare-and-swap on NATS JetStream, and leases,
// which tell who should act.
package kv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// Names of the buckets of a fleet.
const (
	BucketImports = "imports"
	BucketCatalog = "catalog"
	BucketAuth    = "auth"
	bucketLeases  = "leases" // which expire; no other bucket may lose values
)

// Errors of a Bucket that callers distinguish.
var (
	// ErrNotFound says that the key has no value.
	ErrNotFound = errors.New("key not found")
	// ErrConflict says that the key is not at the expected revision: nothing was
	// written. Read it and decide anew.
	ErrConflict = errors.New("key was changed by somebody else")
	// ErrTooLarge says that the value is larger than NATS takes, by its setting
	// max_payload: nothing was written.
	ErrTooLarge = errors.New("larger than NATS takes (its setting max_payload)")
)

// Bucket is a set of values by key. A key consists of letters, digits and any of
// "-_/=."; it neither starts nor ends with '.', nor holds two in a row, nor is it "_".
// All methods may be called concurrently.
//
// Revisions belong to a key and grow with each change; 0 is none. A value that was read
// may have changed already, so a process that acts on it writes the key at the revision
// that it has read. While NATS elects a leader, Get and Keys may even return what was
// there a while ago.
type Bucket interface {
	// Get returns the value of a key and its revision, or ErrNotFound if it had none
	// at some moment since the call. In BucketImports it is ErrProtocol if another
	// version wrote the value.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// GetLinearized is Get of the value that the key had at some moment since the call.
	// It costs a write, during which an Update of the key by others waits.
	GetLinearized(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Create stores a value under a key that has none, or is ErrConflict. Like Update it
	// is ErrTooLarge for a value that does not fit. In BucketImports, Create also refuses
	// values over seven eighths of the limit of NATS, so that later Updates have room to
	// grow.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Update replaces the value at the revision, or is ErrConflict.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// Delete removes the value that a key has at the revision, or is ErrConflict.
	Delete(ctx context.Context, key string, revision uint64) error
	// Purge removes all values whose keys start with the prefix, which ends with '.',
	// whatever their revisions.
	Purge(ctx context.Context, prefix string) error
	// Keys returns the keys with the prefix, any text, in bytewise order. A key that
	// is being deleted may be among them.
	Keys(ctx context.Context, prefix string) ([]string, error)
	// Watch returns a channel that gets a tick after changes of the key, until ctx
	// ends. Ticks merge, and some may be missing: a caller that must not miss a
	// change also reads from time to time.
	Watch(ctx context.Context, key string) (<-chan struct{}, error)
}

// Headers of messages in a bucket.
const (
	headerNonce     = "Rangefleet-Nonce" // distinguishes a write from others of the same value
	headerOperation = "KV-Operation"     // set in a tombstone, as in all JetStream buckets
	operationDelete = "DEL"
)

// Names of the streams of buckets, and of their subjects.
const (
	streamPrefix  = "KV_"
	subjectPrefix = "$KV."
)

// Stream is the configuration of the stream that holds a bucket: that of a JetStream
// key-value bucket with a history of one, except that values cannot be purged by a header, and
// that only the stream's leader answers reads. With direct reads one's own write might be invisible for a while. Values
// expire after ttl; 0 is never.
func Stream(name string, ttl time.Duration) jetstream.StreamConfig {
	subjects := subjectPrefix + name + ".>"
	return jetstream.StreamConfig{
		Name:              streamPrefix + name,
		Subjects:          []string{subjects},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		MaxMsgsPerSubject: 1,
		MaxAge:            ttl,
		Duplicates:        min(2*time.Minute, cmp.Or(ttl, time.Hour)), // at most MaxAge
		Storage:           jetstream.FileStorage,
		DenyDelete:        true,
		AllowRollup:       false, // a worker that may store a barrier could remove all values
		RePublish:         &jetstream.RePublish{Source: subjects, Destination: natsconn.StoredPrefix + name + ".>", HeadersOnly: true},
	}
}

// Open returns the bucket of the name, whose stream need not exist yet.
func Open(conn *natsconn.Conn, name string) Bucket { return open(conn, name) }

func open(conn *natsconn.Conn, name string) *bucket {
	return &bucket{conn: conn, stream: conn.Stream(streamPrefix + name), name: name}
}

// bucket has the layout of a JetStream key-value bucket, so that its tools can read it.
type bucket struct {
	conn   *natsconn.Conn
	stream natsconn.Stream
	name   string
}

func (b *bucket) subject(key string) string { return subjectPrefix + b.name + "." + key }

func (b *bucket) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	return b.read(ctx, key, func(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
		msg, err := b.found(ctx, key)
		if err == nil && isTombstone(msg) {
			return b.linearized(ctx, key)
		}
		return msg, err
	})
}

func (b *bucket) GetLinearized(ctx context.Context, key string) ([]byte, uint64, error) {
	return b.read(ctx, key, b.linearized)
}

// read returns the value of a key, in the message that find returns.
func (b *bucket) read(ctx context.Context, key string, find func(context.Context, string) (*jetstream.RawStreamMsg, error)) ([]byte, uint64, error) {
	if err := CheckKey(key); err != nil {
		return nil, 0, err
	}
	msg, err := find(ctx, key)
	if err == nil && b.name == BucketImports { // other buckets outlive the protocol
		err = b.conn.CheckMessage("the value", msg.Header)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read %s/%s: %w", b.name, key, err)
	}
	return msg.Data, msg.Sequence, nil
}

func (b *bucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if most := b.conn.NATS.MaxPayload(); b.name == BucketImports && int64(len(value)) > most-most/8 {
		return 0, fmt.Errorf("write %s/%s: %w", b.name, key, ErrTooLarge) // else the end of the import might not fit
	}
	rev, err := b.write(ctx, key, value, nil, 0)
	if !errors.Is(err, ErrConflict) {
		return rev, err
	}
	// What is in the way may be the tombstone of a deleted key.
	msg, readErr := b.last(ctx, key)
	switch {
	case errors.Is(readErr, ErrNotFound):
		return b.write(ctx, key, value, nil, 0)
	case readErr != nil:
		return 0, fmt.Errorf("read %s/%s: %w", b.name, key, readErr)
	case !isTombstone(msg):
		return 0, err
	}
	return b.write(ctx, key, value, nil, msg.Sequence)
}

func (b *bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return 0, fmt.Errorf("update %s/%s at revision 0: %w", b.name, key, ErrConflict)
	}
	return b.write(ctx, key, value, nil, revision)
}

// Delete writes a tombstone, which watchers see, and then removes it.
func (b *bucket) Delete(ctx context.Context, key string, revision uint64) error {
	if revision == 0 {
		return fmt.Errorf("delete %s/%s at revision 0: %w", b.name, key, ErrConflict)
	}
	rev, err := b.write(ctx, key, nil, nats.Header{headerOperation: {operationDelete}}, revision)
	if err != nil {
		return err
	}
	return b.removeTombstone(ctx, key, rev)
}

// removeTombstone removes what the key had up to the revision of its tombstone: a new
// value may have been created since.
func (b *bucket) removeTombstone(ctx context.Context, key string, revision uint64) error {
	err := b.stream.Purge(ctx, "write", jetstream.WithPurgeSubject(b.subject(key)), jetstream.WithPurgeSequence(revision+1))
	if err != nil {
		return fmt.Errorf("purge %s/%s: %w", b.name, key, err)
	}
	return nil
}

func (b *bucket) Purge(ctx context.Context, prefix string) error {
	name, ok := strings.CutSuffix(prefix, ".")
	if !ok || CheckKey(name) != nil {
		return fmt.Errorf("purge %s: %q is no valid prefix", b.name, prefix)
	}
	if err := b.stream.Purge(ctx, "write", jetstream.WithPurgeSubject(b.subject(prefix)+">")); err != nil {
		return fmt.Errorf("purge %s/%s: %w", b.name, prefix, err)
	}
	return nil
}

func (b *bucket) Keys(ctx context.Context, prefix string) ([]string, error) {
	tokens := prefix[:strings.LastIndexByte(prefix, '.')+1] // a filter consists of whole ones
	if tokens != "" && !validKey.MatchString(strings.TrimSuffix(tokens, ".")) {
		return []string{}, nil // in a filter it might mean something else
	}
	found, err := b.stream.Subjects(ctx, b.subject(tokens+">"), new(time.Duration))
	if err != nil {
		return nil, fmt.Errorf("list keys %s/%s: %w", b.name, prefix, err)
	}
	keys := make([]string, 0, len(found.Subjects))
	for subject := range found.Subjects {
		if key := strings.TrimPrefix(subject, b.subject("")); strings.HasPrefix(key, prefix) && key != barrierKey {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

func (b *bucket) Watch(ctx context.Context, key string) (<-chan struct{}, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	ticks, err := b.conn.Hints(ctx, b.name+"."+key)
	if err != nil {
		return nil, fmt.Errorf("watch %s/%s: %w", b.name, key, err)
	}
	return ticks, nil
}

// last returns the newest message of the key, which may be a tombstone, as the server
// that answers knows it, or ErrNotFound.
func (b *bucket) last(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	msg, err := b.stream.Last(ctx, b.subject(key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrNotFound
	}
	return msg, err
}

// validKey is what keys match: tokens of a subject.
var validKey = regexp.MustCompile(`^[A-Za-z0-9_/=-]+(\.[A-Za-z0-9_/=-]+)*$`)

// CheckKey returns an error unless a Bucket takes the key.
func CheckKey(key string) error {
	if key == barrierKey || !validKey.MatchString(key) {
		return fmt.Errorf("%q is no valid key", key)
	}
	return nil
}
