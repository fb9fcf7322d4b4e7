package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors that callers of a KV tell apart.
var (
	// ErrNotFound says that the key has no value.
	ErrNotFound = errors.New("key not found")
	// ErrConflict says that the key is not at the revision that was asked for:
	// nothing was written. Read it and decide anew.
	ErrConflict = errors.New("key was changed by somebody else")
	// ErrTooLarge says that the value is larger than NATS takes, by its setting
	// max_payload: nothing was written.
	ErrTooLarge = errors.New("larger than NATS takes (its setting max_payload)")
)

// KV is a bucket of values by key. A key is made of letters, digits and any of
// "-_/=.", and neither starts nor ends with '.' nor holds two in a row, nor is it
// "_". All
// methods may be called concurrently.
//
// Revisions belong to a key and grow with each change; 0 is none. Who decides
// by what is stored decides by Create, Update and Delete: what was read may have
// changed already. While NATS elects a leader, what Get and Keys return may even
// be what was there a while ago; that there is nothing is certain, from Get.
type KV interface {
	// Get returns the value of a key and its revision, or ErrNotFound if it had none
	// at some moment since the call; in BucketImports ErrProtocol if another version
	// wrote it.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Latest is Get, of what the key had at some moment since the call. It takes a
	// write, and others' Update of the key waits for it.
	Latest(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Create stores a value under a key that has none, or answers ErrConflict. Like
	// Update it is ErrTooLarge for a value that does not fit; in BucketImports also for
	// one that leaves less than an eighth of what NATS takes to what Update adds.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Update replaces the value at the revision, or answers ErrConflict.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// Delete removes the value that a key has at the revision, or answers ErrConflict.
	Delete(ctx context.Context, key string, revision uint64) error
	// Purge removes all values whose keys start with the prefix, which ends with '.',
	// whatever their revisions.
	Purge(ctx context.Context, prefix string) error
	// Keys returns the keys with the prefix, any text, in bytewise order. A key
	// that is being deleted may be among them.
	Keys(ctx context.Context, prefix string) ([]string, error)
	// Watch returns a channel that gets a tick after changes of the key, until
	// ctx ends. Ticks merge, and some may be missing: whoever must not miss a
	// change reads from time to time as well.
	Watch(ctx context.Context, key string) (<-chan struct{}, error)
}

// Headers of messages in a bucket.
const (
	headerNonce     = "Rangefleet-Nonce" // tells one's own write from others'
	headerOperation = "KV-Operation"     // set if the message is no value: those of all JetStream buckets
	operationDelete = "DEL"
)

// KV returns the bucket of the name, one of those that Ensure makes.
func (q *Queue) KV(name string) KV { return q.bucket(name) }

func (q *Queue) bucket(name string) *bucket { return &bucket{q: q, name: name} }

// bucket has the layout of a JetStream key-value bucket, so that its tools can
// read it.
type bucket struct {
	q    *Queue
	name string
}

var _ KV = (*bucket)(nil)

func (b *bucket) subject(key string) string { return bucketSubject + b.name + "." + key }

func (b *bucket) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := CheckKey(key); err != nil {
		return nil, 0, err
	}
	msg, err := b.last(ctx, key)
	if errors.Is(err, ErrNotFound) {
		msg, err = b.present(ctx, key)
	}
	if err == nil && deleted(msg) {
		msg, err = b.latest(ctx, key)
	}
	return b.value(key, msg, err)
}

// value is what a read of the key answers that has found the message.
func (b *bucket) value(key string, msg *jetstream.RawStreamMsg, err error) ([]byte, uint64, error) {
	if err == nil && b.name == BucketImports { // what others hold outlives the protocol
		err = b.q.readable("the value", msg.Header)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read %s/%s: %w", b.name, key, err)
	}
	return msg.Data, msg.Sequence, nil
}

func (b *bucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if most := b.q.nc.MaxPayload(); b.name == BucketImports && int64(len(value)) > most-most/8 {
		return 0, fmt.Errorf("write %s/%s: %w", b.name, key, ErrTooLarge) // else it could never tell that the import ended
	}
	rev, err := b.write(ctx, key, value, nil, 0)
	if !errors.Is(err, ErrConflict) {
		return rev, err
	}
	// What is in the way may be the mark of a deleted key.
	msg, readErr := b.last(ctx, key)
	switch {
	case errors.Is(readErr, ErrNotFound):
		return b.write(ctx, key, value, nil, 0)
	case readErr != nil:
		return 0, fmt.Errorf("read %s/%s: %w", b.name, key, readErr)
	case !deleted(msg):
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

// Delete marks the key as deleted, which watchers hear of, and then takes the
// mark away.
func (b *bucket) Delete(ctx context.Context, key string, revision uint64) error {
	if revision == 0 {
		return fmt.Errorf("delete %s/%s at revision 0: %w", b.name, key, ErrConflict)
	}
	rev, err := b.write(ctx, key, nil, nats.Header{headerOperation: {operationDelete}}, revision)
	if err != nil {
		return err
	}
	return b.purge(ctx, key, rev)
}

// purge takes away what the key had up to the revision: a new value may have come
// since.
func (b *bucket) purge(ctx context.Context, key string, revision uint64) error {
	return b.take(ctx, key, jetstream.WithPurgeSubject(b.subject(key)), jetstream.WithPurgeSequence(revision+1))
}

func (b *bucket) Purge(ctx context.Context, prefix string) error {
	name, ok := strings.CutSuffix(prefix, ".")
	if !ok || CheckKey(name) != nil {
		return fmt.Errorf("purge %s: %q is no valid prefix", b.name, prefix)
	}
	return b.take(ctx, prefix, jetstream.WithPurgeSubject(b.subject(prefix)+">"))
}

// take takes messages away; what names them in an error.
func (b *bucket) take(ctx context.Context, what string, which ...jetstream.StreamPurgeOpt) error {
	err := b.q.retry(ctx, "write", func(ctx context.Context) error {
		stream, err := b.q.stream(ctx, bucketStream+b.name)
		if err != nil {
			return err
		}
		return stream.Purge(ctx, which...)
	})
	if err != nil {
		return fmt.Errorf("purge %s/%s: %w", b.name, what, err)
	}
	return nil
}

func (b *bucket) Keys(ctx context.Context, prefix string) ([]string, error) {
	if strings.ContainsFunc(prefix, func(r rune) bool { return !keyRune(r) }) {
		return []string{}, nil // to a filter it might mean something else
	}
	// A filter ends at a '.'; what it lets through is compared below.
	filter := b.subject(prefix[:strings.LastIndexByte(prefix, '.')+1] + ">")
	subjects, err := b.q.subjects(ctx, bucketStream+b.name, filter)
	if err != nil {
		return nil, fmt.Errorf("list keys %s/%s: %w", b.name, prefix, err)
	}
	keys := make([]string, 0, len(subjects))
	for subject := range subjects {
		if key := strings.TrimPrefix(subject, b.subject("")); strings.HasPrefix(key, prefix) && key != markKey {
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
	ticks, err := b.q.hints(ctx, b.name+"."+key)
	if err != nil {
		return nil, fmt.Errorf("watch %s/%s: %w", b.name, key, err)
	}
	return ticks, nil
}

func (b *bucket) last(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	return b.q.lastMessage(ctx, bucketStream+b.name, b.subject(key))
}

func expect(revision uint64) jetstream.PublishOpt {
	return jetstream.WithExpectLastSequencePerSubject(revision)
}

// write stores one message under the key, at the expected revision; 0 is none.
//
// A try may be stored although its answer is lost, and the next one then meets
// a conflict with itself. Hence the nonce: of all tries of one write at most one
// can be stored, and a conflict after a lost answer is none if what is stored
// bears the nonce. If somebody changed the value since, the conflict stands,
// although the write took place: to the caller it is as if it came second.
func (b *bucket) write(ctx context.Context, key string, value []byte, header nats.Header, expected uint64) (uint64, error) {
	if err := CheckKey(key); err != nil {
		return 0, err
	}
	nonce := rand.Text()
	var (
		revision  uint64
		ambiguous bool
	)
	err := b.q.retry(ctx, "write", func(ctx context.Context) error {
		msg := &nats.Msg{Subject: b.subject(key), Header: b.q.header(), Data: value}
		msg.Header.Set(headerNonce, nonce)
		for k, v := range header {
			msg.Header[k] = v
		}
		ack, err := b.q.js.PublishMsg(ctx, msg, expect(expected))
		if err == nil {
			revision = ack.Sequence
			return nil
		}
		if errors.Is(err, nats.ErrMaxPayload) {
			return ErrTooLarge
		}
		if isUnderWay(err) {
			return errUnderWay
		}
		if !isConflict(err) {
			ambiguous = true
			return err
		}
		if !ambiguous {
			return ErrConflict
		}
		revision, err = b.ownWrite(ctx, key, nonce)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write %s/%s: %w", b.name, key, err)
	}
	return revision, nil
}

// ownWrite returns the revision of the key if it bears the nonce, or
// ErrConflict. Of that it makes sure: who is told of a conflict believes that nothing
// was written.
func (b *bucket) ownWrite(ctx context.Context, key, nonce string) (uint64, error) {
	for _, read := range []func(context.Context, string) (*jetstream.RawStreamMsg, error){b.last, b.newest} {
		msg, err := read(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		if err == nil && msg.Header.Get(headerNonce) == nonce {
			return msg.Sequence, nil
		}
	}
	return 0, ErrConflict
}

// errUnderWay says that a stream with replicas is about to store something that
// touches the key: a value, which may be that of an earlier try of the same write, or
// somebody's mark, which changes nothing. A moment later it shows what.
var errUnderWay = errors.New("the key is being written or looked at")

func isUnderWay(err error) bool {
	return hasCode(err, jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// isConflict reports whether a key is not at the revision, or may not be in a moment.
func isConflict(err error) bool {
	return hasCode(err, jetstream.JSErrCodeStreamWrongLastSequence) || isUnderWay(err)
}

func hasCode(err error, code jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}

// maxContenders bounds how often a compare-and-swap is tried: each lost round means
// that somebody else has changed the key.
const maxContenders = 50

// Contend calls f, which reads a key and writes it at the revision that it had, until
// that is no ErrConflict, and returns f's error, why ctx ended, or that f lost too often.
func Contend(ctx context.Context, f func() error) (err error) {
	for round := range maxContenders {
		if err := beforeRound(ctx, round); err != nil {
			return err
		}
		if err = f(); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("lost %d rounds of compare-and-swap: %w", maxContenders, err)
}

// beforeRound waits before a round of a compare-and-swap, of which the first is 0: not
// at all at first, as whoever was faster is done; then up to a tenth of a second, as
// for as long as NATS elects a leader, a server that was one may answer reads with
// what it knew. It returns why ctx ended.
func beforeRound(ctx context.Context, round int) error {
	const atOnce, atMost = 10, 100 * time.Millisecond
	if round < atOnce {
		return ctx.Err()
	}
	return jittered(ctx, atMost)
}

// CheckKey returns an error unless a KV takes the key.
func CheckKey(key string) error {
	if key == "" || key == markKey || key[0] == '.' || key[len(key)-1] == '.' || strings.Contains(key, "..") ||
		strings.ContainsFunc(key, func(r rune) bool { return !keyRune(r) }) {
		return fmt.Errorf("%q is no valid key", key)
	}
	return nil
}

func keyRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_/=.", r)
}
