package imports

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Store stores records in the state bucket. Its methods may be called concurrently, by any
// number of processes.
type Store struct{ bucket kv.Bucket }

// NewStore returns the store of the state bucket.
func NewStore(bucket kv.Bucket) *Store { return &Store{bucket: bucket} }

// Keys of the bucket: of a record, and of the import that a request last started.
func recordKey(id string) string { return "i." + id }

func requestKey(r Record) string {
	text, _ := json.Marshal([]any{r.Request, r.Job.Incarnation, r.Job.Paths}) // strings and maps of them always encode
	return fmt.Sprintf("r.%x", sha256.Sum256(text))
}

// Create stores a new record. If there is one of its ID already, that one stays.
func (s *Store) Create(ctx context.Context, r Record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode import %s: %w", r.Job.ImportID, err)
	}
	if _, err := s.bucket.Create(ctx, recordKey(r.Job.ImportID), value); err != nil && !errors.Is(err, kv.ErrConflict) {
		return fmt.Errorf("store import %s: %w", r.Job.ImportID, err)
	}
	return nil
}

// Get returns the record of an import. It is a NotFound fault if there is none, and a Broken
// fault if it cannot be decoded. The record may have changed already; see kv.Bucket.
func (s *Store) Get(ctx context.Context, id string) (Record, error) {
	r, _, err := s.read(ctx, id, s.bucket.Get)
	return r, err
}

// read returns a record and its revision, by one of the two read methods of a bucket.
func (s *Store) read(ctx context.Context, id string, get func(context.Context, string) ([]byte, uint64, error)) (Record, uint64, error) {
	if kv.CheckKey(recordKey(id)) != nil { // IDs come from requests too
		return Record{}, 0, fault.Missing(fmt.Sprintf("import %q", id))
	}
	value, rev, err := get(ctx, recordKey(id))
	if errors.Is(err, kv.ErrNotFound) {
		return Record{}, 0, fault.Missing("import " + id)
	}
	if err != nil {
		return Record{}, 0, fmt.Errorf("read import %s: %w", id, err)
	}
	var r Record
	if err := json.Unmarshal(value, &r); err != nil {
		return Record{}, 0, fault.Unreadable(kv.BucketImports, recordKey(id), err)
	}
	return r, rev, nil
}

// Apply makes a transition by compare-and-swap and returns the record after it. It returns
// an error of the transition unchanged, and then stores nothing.
func (s *Store) Apply(ctx context.Context, id string, transition func(Record) (Record, error)) (r Record, err error) {
	err = kv.RetryConflicts(ctx, func() error {
		r, err = s.apply(ctx, id, transition)
		return err
	})
	return r, err
}

func (s *Store) apply(ctx context.Context, id string, transition func(Record) (Record, error)) (Record, error) {
	old, rev, err := s.read(ctx, id, s.bucket.Get)
	if err != nil {
		return Record{}, err
	}
	next, err := transition(old)
	if err != nil || reflect.DeepEqual(old, next) {
		return old, err
	}
	value, err := json.Marshal(next)
	if err != nil {
		return old, fmt.Errorf("encode import %s: %w", id, err)
	}
	if _, err = s.bucket.Update(ctx, recordKey(id), value, rev); err != nil {
		return old, fmt.Errorf("store import %s: %w", id, err)
	}
	return next, nil
}

// Fail ends an import that cannot go on. It does nothing to one that is committing, has ended or
// is forgotten.
func (s *Store) Fail(ctx context.Context, id, text string, now time.Time) error {
	_, err := s.Apply(ctx, id, func(r Record) (Record, error) { return r.Fail(now.UTC(), nil, text, r.Objects) })
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// Claim stores r as the running import of its request, unless one is running already, and
// returns the ID of the one that runs. So the same request made twice, at the same time or
// after a lost answer, is one import.
func (s *Store) Claim(ctx context.Context, r Record) (id string, err error) {
	err = kv.RetryConflicts(ctx, func() error {
		id, err = s.claim(ctx, r)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("start import: %w", err)
	}
	return id, nil
}

func (s *Store) claim(ctx context.Context, r Record) (string, error) {
	key, id := requestKey(r), r.Job.ImportID
	value, rev, err := s.bucket.Get(ctx, key)
	switch {
	case errors.Is(err, kv.ErrNotFound):
		rev, err = s.bucket.Create(ctx, key, []byte(id))
	case err == nil:
		var running bool
		if running, err = s.adopt(ctx, string(value), rev, r); running || err != nil {
			return string(value), err
		}
		rev, err = s.bucket.Update(ctx, key, []byte(id), rev)
	}
	if err != nil {
		return "", err
	}
	if err = s.Create(ctx, r); errors.Is(err, kv.ErrTooLarge) {
		_ = s.bucket.Delete(ctx, key, rev) // its import can never exist; a key that is left stays for ever
	}
	return id, err
}

// adopt reports whether the import runs that the request's key named at rev. If the import
// has no record, the process that wrote the key may have died before it stored the record,
// or be about to store it. Then adopt stores it, so that the request does not become two
// imports. It writes the key again first, which is kv.ErrConflict if the import was
// forgotten since the key was read. An import whose record cannot be decoded does not run,
// and neither does one whose ID is invalid.
func (s *Store) adopt(ctx context.Context, id string, rev uint64, r Record) (running bool, err error) {
	if valid := kv.CheckKey(recordKey(id)) == nil; !valid {
		return false, nil
	}
	old, _, err := s.read(ctx, id, s.bucket.GetLinearized) // linearized: the same request after the end must get a new import
	if fault.Is(err, fault.NotFound) {
		if _, err := s.bucket.Update(ctx, requestKey(r), []byte(id), rev); err != nil {
			return false, err
		}
		r.Job.ImportID = id
		return true, s.Create(ctx, r)
	}
	if fault.Is(err, fault.Broken) {
		return false, nil
	}
	return err == nil && !old.State.Ended(), err
}

// IDs returns the IDs of all imports that are kept.
func (s *Store) IDs(ctx context.Context) ([]string, error) {
	keys, err := s.bucket.Keys(ctx, recordKey(""))
	if err != nil {
		return nil, fmt.Errorf("list imports: %w", err)
	}
	for i, key := range keys {
		keys[i] = strings.TrimPrefix(key, recordKey(""))
	}
	return keys, nil
}

// Delete forgets an import, if it has ended. It deletes the record last, and reads it after
// the key of its request: adopt writes that key before it stores a record, so that Delete
// then meets a conflict.
func (s *Store) Delete(ctx context.Context, r Record) error {
	id, key := r.Job.ImportID, requestKey(r)
	named, keyRev, err := s.bucket.Get(ctx, key)
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("read the request of import %s: %w", id, err)
	}
	last, rev, err := s.read(ctx, id, s.bucket.Get)
	if fault.Is(err, fault.NotFound) || err == nil && !last.State.Ended() {
		return nil
	}
	if err != nil {
		return err
	}
	if string(named) == id {
		err = s.bucket.Delete(ctx, key, keyRev)
		if err != nil && !errors.Is(err, kv.ErrConflict) { // the conflict is with a new import of the request, which stays
			return fmt.Errorf("delete the request of import %s: %w", id, err)
		}
	}
	if err := s.bucket.Delete(ctx, recordKey(id), rev); err != nil {
		return fmt.Errorf("delete import %s: %w", id, err)
	}
	return nil
}

// Watch returns a channel that gets a tick after the record of an import may have changed,
// until ctx ends. Ticks are hints: read the record from time to time as well.
func (s *Store) Watch(ctx context.Context, id string) (<-chan struct{}, error) {
	return s.bucket.Watch(ctx, recordKey(id))
}
