package imports

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Store keeps the records in the state bucket. Its methods may be called
// concurrently, by any number of processes.
type Store struct{ bucket kv.Bucket }

// NewStore returns the store on the state bucket.
func NewStore(bucket kv.Bucket) *Store { return &Store{bucket: bucket} }

// Keys of the bucket: a record, and the import that a request last started.
func recordKey(id string) string { return "i." + id }

func requestKey(r Record) string {
	text, _ := json.Marshal([]any{r.Request, r.Job.Incarnation, r.Job.Paths}) // strings and maps of them always encode
	return fmt.Sprintf("r.%x", sha256.Sum256(text))
}

// Create stores a new record; one with its ID that is there already stays.
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

// Get returns the record of an import, or a NotFound fault, or a Broken one if it cannot
// be decoded. It may have changed already; see kv.Bucket.
func (s *Store) Get(ctx context.Context, id string) (Record, error) {
	r, _, err := s.get(ctx, id)
	return r, err
}

func (s *Store) get(ctx context.Context, id string) (Record, uint64, error) {
	return s.read(ctx, id, s.bucket.Get)
}

// read is get by one of the two ways to read a bucket.
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

// Apply makes one transition by compare-and-swap and returns the record after
// it. An error of the transition ends it unchanged.
func (s *Store) Apply(ctx context.Context, id string, transition func(Record) (Record, error)) (r Record, err error) {
	err = kv.RetryConflicts(ctx, func() error {
		r, err = s.apply(ctx, id, transition)
		return err
	})
	return r, err
}

func (s *Store) apply(ctx context.Context, id string, transition func(Record) (Record, error)) (Record, error) {
	old, rev, err := s.get(ctx, id)
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

// Claim stores r as the import that its request has running, unless one is
// running already; it returns the ID of the one that is. The same request made
// twice, at once or after a lost answer, is one import.
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
		_ = s.bucket.Delete(ctx, key, rev) // whose import can never be; what is left here stays for ever
	}
	return id, err
}

// adopt reports whether the import runs that the request's key named at rev. Where a
// process named it there and died before it stored the record, it is stored now: it
// may have been a moment from doing so, and two imports must not come of it. The key is
// written again first: it would be kv.ErrConflict if the import was forgotten
// since the key was read. An import whose record cannot be decoded does not run, nor does
// what is no ID.
func (s *Store) adopt(ctx context.Context, id string, rev uint64, r Record) (running bool, err error) {
	if named := kv.CheckKey(recordKey(id)) == nil; !named {
		return false, nil
	}
	old, _, err := s.read(ctx, id, s.bucket.GetLinearized) // who asks again after the end is to get a new one
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

// Delete forgets an import that has ended; one that has not stays. Its record goes
// last, and is read after the key of its request: whoever adopts an import without a
// record writes that key, so it is not deleted from under them.
func (s *Store) Delete(ctx context.Context, r Record) error {
	id, key := r.Job.ImportID, requestKey(r)
	named, keyRev, err := s.bucket.Get(ctx, key)
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("read the request of import %s: %w", id, err)
	}
	last, rev, err := s.get(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && !last.State.Ended() {
		return nil
	}
	if err != nil {
		return err
	}
	if string(named) == id {
		err = s.bucket.Delete(ctx, key, keyRev)
		if err != nil && !errors.Is(err, kv.ErrConflict) { // with a new import of the request, which stays
			return fmt.Errorf("delete the request of import %s: %w", id, err)
		}
	}
	if err := s.bucket.Delete(ctx, recordKey(id), rev); err != nil {
		return fmt.Errorf("delete import %s: %w", id, err)
	}
	return nil
}

// Watch returns a channel that ticks after the record of an import may have
// changed, until ctx ends. It is a hint: read the record again now and then.
func (s *Store) Watch(ctx context.Context, id string) (<-chan struct{}, error) {
	return s.bucket.Watch(ctx, recordKey(id))
}
