// Package objectstore is the interface to object stores: S3, what is compatible with it, and
// directories of this machine. Retries, metrics and reading ahead are decorators of it.
package objectstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Errors that callers distinguish. Any other error is transient: the same call may
// succeed later.
var (
	// ErrNotFound says that the object, bucket or directory does not exist.
	ErrNotFound = errors.New("not found")
	// ErrRefused says that the store refuses the request for good: access
	// denied, a bad request, a path outside of what is allowed. Its text holds
	// the store's own words.
	ErrRefused = errors.New("refused")
	// ErrBadListing says that what the store listed cannot be relied upon: keys are out
	// of order, or the answer belongs to another request. Its text names the keys, or
	// what is wrong.
	ErrBadListing = errors.New("bad listing")
	// ErrTooLarge says that an object is larger than the caller's limit.
	ErrTooLarge = errors.New("too large")
	// ErrThrottled says that the store wants fewer calls. It is transient.
	ErrThrottled = errors.New("throttled")
)

// Special cases of the errors above, with a remedy of their own.
var (
	// ErrSettings is an ErrRefused that a change of the settings or of the environment
	// resolves. Its text names what to change.
	ErrSettings error = &special{"the settings do not fit the store", ErrRefused}
	// ErrRole is an ErrRefused of a role that may not be assumed. Its text names the role, and
	// the source that is read with it.
	ErrRole error = &special{"the role may not be assumed", ErrRefused}
	// ErrBadKey is an ErrBadListing that concerns single objects: a key is not valid
	// UTF-8, for example. Its text names them.
	ErrBadKey error = &special{"bad key", ErrBadListing}
)

// special is a special case of another error.
type special struct {
	text string
	of   error
}

func (s *special) Error() string { return s.text }
func (s *special) Unwrap() error { return s.of }

// Permanent reports whether err will come back however often the call is repeated.
func Permanent(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrRefused) || errors.Is(err, ErrBadListing) ||
		errors.Is(err, ErrTooLarge)
}

// TooLarge returns ErrTooLarge for an object of at least size bytes.
func TooLarge(size, limit int64) error {
	return fmt.Errorf("%w: it has %d bytes or more, want at most %d", ErrTooLarge, size, limit)
}

// Object is what a listing tells of an object.
type Object struct {
	Key     string    // the full key in its store, valid UTF-8
	ETag    string    // without quotes
	Size    int64     // bytes
	ModTime time.Time // TimeFits it
}

// TimeFits reports whether t can be represented in nanoseconds since the Unix epoch, as
// in Listed: it lies between the years 1677 and 2262.
func TimeFits(t time.Time) bool { return time.Unix(0, t.UnixNano()).Equal(t) }

// Listed is an Object as a page of a listing holds it: the bytes belong to the page.
type Listed struct {
	Key     []byte // as in Object
	ETag    []byte // as in Object
	Size    int64  // bytes
	ModTime int64  // nanoseconds since the Unix epoch
}

// Object returns a copy of l that outlives the page.
func (l Listed) Object() Object {
	return Object{Key: string(l.Key), ETag: string(l.ETag), Size: l.Size, ModTime: time.Unix(0, l.ModTime).UTC()}
}

// Listed returns o in the form that pages have, with bytes of its own.
func (o Object) Listed() Listed {
	return Listed{Key: []byte(o.Key), ETag: []byte(o.ETag), Size: o.Size, ModTime: o.ModTime.UnixNano()}
}

// Store is one flat key space: an S3 bucket, or the file system of this machine
// with the absolute paths of regular files, less the first '/', as keys.
// All methods may be called concurrently. Their errors name the object or prefix, so that
// callers need not add it.
type Store interface {
	// List lists the objects whose keys have the prefix and lie after `after`
	// (exclusive), in bytewise key order, in pages of at least one object, to the
	// end of all keys. The options change no result. A page, and the bytes that its
	// objects point to, belong to the caller only until it asks for the next one or
	// stops. A sequence that ends without an error is complete; after an error it
	// ends. A bucket that does not exist is ErrNotFound, and so is, in a file system,
	// the directory of the prefix.
	List(ctx context.Context, prefix, after string, opts ListOptions) iter.Seq2[[]Listed, error]
	// Stat describes one object, or answers ErrNotFound.
	Stat(ctx context.Context, key string) (Object, error)
	// Get returns an object's content, or ErrNotFound. An object of more than
	// limit bytes is ErrTooLarge, and is not read.
	Get(ctx context.Context, key string, limit int64) ([]byte, error)
	// GetRange returns n bytes of an object, n at least 1, from an offset on, or as many as
	// there are, and the size of the object; or ErrNotFound. An offset at or behind the
	// end is ErrRefused, except for offset 0 of an empty object.
	GetRange(ctx context.Context, key string, offset, n int64) (part []byte, size int64, err error)
	// Put stores an object whole or not at all, and has it durable on return. It does
	// not keep body. Sum spares a store that sends a checksum a pass over the body; a
	// store may refuse a body that has another sum.
	Put(ctx context.Context, key string, body []byte, sum Sum) error
}

// Repeater is a Store that repeats calls which failed for now.
type Repeater interface {
	Store
	// Telling returns the same store, which tells repeated of each call that it repeats, with
	// the error of the try before. The function may be called concurrently, and must not block.
	Telling(repeated func(cause error)) Store
}

// Telling returns s, which tells repeated of each call that it repeats if it is a Repeater.
func Telling(s Store, repeated func(cause error)) Store {
	if r, ok := s.(Repeater); ok {
		return r.Telling(repeated)
	}
	return s
}

// Sum is the SHA-256 of a body. The zero Sum says that it is not known.
type Sum [sha256.Size]byte

// Of returns the sum of body: s itself if it is known.
func (s Sum) Of(body []byte) Sum {
	if s != (Sum{}) {
		return s
	}
	return sha256.Sum256(body)
}

// Opener opens the store that a URI lives in, to be read and written with the process's own
// credentials.
type Opener interface {
	Open(ctx context.Context, u URI) (Store, error)
}

// SourceOpener opens the stores of sources, to be read with the credentials that are meant for
// each. It must be used for whatever a user names as a source.
type SourceOpener interface {
	// OpenSource opens the store that u lives in. If object is set, u and other objects of its
	// source may be read, else the objects that start with u.
	OpenSource(ctx context.Context, u URI, object bool) (Store, error)
}

// Pager is a Store that also lists single pages, so that many can be asked for
// at once.
type Pager interface {
	Store
	// ListPage calls take with the first page that List would yield, unless there is
	// none, and reports whether more may follow it. The page belongs to take during the
	// call. ListPage does not retry.
	ListPage(ctx context.Context, prefix, after string, take func([]Listed)) (more bool, err error)
	// WalkPage calls take with the page that a continuation token stands for, or
	// with the first page of the prefix if the token is empty, unless the page
	// holds no objects. It returns the token of the page after it, or "" if the store
	// says that there is none. Within the page the keys are in order; they may
	// repeat keys of the page before. The page belongs to take during the call.
	// WalkPage does not retry.
	WalkPage(ctx context.Context, prefix, token string, take func([]Listed)) (next string, err error)
}
