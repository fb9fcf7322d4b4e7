package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Bucket is the store of one bucket; see objectstore.Store. It is safe for
// concurrent use.
type Bucket struct {
	calls  *calls
	lister *lister
}

// calls makes the SDK's calls for a bucket, and tells their errors as objectstore's.
type calls struct {
	client  *Client
	name    string
	facts   *facts
	session *session // of a role; nil: the client's own credentials
}

// lister requests pages of a bucket's keys, and checks them.
type lister struct {
	calls *calls
	route atomic.Pointer[route] // by which pages are requested directly; nil until it is known
}

func newBucket(c *Client, name string, s *session) *Bucket {
	b := &Bucket{calls: &calls{client: c, name: name, facts: c.known.of(name, c.newFacts), session: s}}
	b.lister = &lister{calls: b.calls}
	return b
}

var _ objectstore.Pager = (*Bucket)(nil)

// List implements objectstore.Store.
func (b *Bucket) List(ctx context.Context, prefix, after string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		after, stopped := after, false
		for more := true; more && !stopped; {
			var err error
			more, err = b.ListPage(ctx, prefix, after, func(page []objectstore.Listed) {
				after = string(page[len(page)-1].Key)
				stopped = !yield(page, nil)
			})
			if err != nil {
				yield(nil, err)
			}
		}
	}
}

// ListPage implements objectstore.Pager.
func (b *Bucket) ListPage(ctx context.Context, prefix, after string, take func([]objectstore.Listed)) (more bool, err error) {
	a := b.calls.client.answers.Get().(*answer)
	defer b.calls.client.answers.Put(a)
	objects, err := b.lister.page(ctx, a, ask{prefix: prefix, after: after})
	if err == nil {
		more, err = b.lister.more(ctx, a, prefix, objects)
	}
	if err != nil {
		return false, fmt.Errorf("list %s after %q: %w", b.calls.uri(prefix), after, err)
	}
	if len(objects) > 0 {
		take(objects)
	}
	return more, nil
}

// page lists a page, and checks it. It does without the SDK where it can.
func (l *lister) page(ctx context.Context, a *answer, q ask) ([]objectstore.Listed, error) {
	if q.keys == 0 {
		q.keys = l.calls.facts.size.now()
	}
	err := errAskSDK
	if r := l.route.Load(); r != nil {
		err = l.fetchDirect(ctx, a, r, q)
	}
	if errors.Is(err, errAskSDK) {
		err = l.fetch(ctx, a, q)
	}
	if err != nil {
		return nil, err
	}
	objects, err := l.examine(ctx, a, q)
	if err == nil && a.route != nil && l.calls.client.direct != nil {
		l.route.Store(a.route)
	}
	return objects, err
}

// Stat implements objectstore.Store. It makes a LIST call: the ModTime is then that of
// listings, which HEAD rounds to seconds, and an error has S3's own message, while the
// response to a HEAD has no body. The key is the first of all keys that start with it.
// A store that is not AWS and does not list the key is asked again by HEAD, as some
// stores hide keys from small pages.
func (b *Bucket) Stat(ctx context.Context, key string) (objectstore.Object, error) {
	a := b.calls.client.answers.Get().(*answer)
	defer b.calls.client.answers.Put(a)
	objects, err := b.lister.page(ctx, a, ask{prefix: key, keys: 1})
	if err != nil {
		return objectstore.Object{}, fmt.Errorf("stat %s: %w", b.calls.uri(key), err)
	}
	if len(objects) > 0 && string(objects[0].Key) == key {
		return objects[0].Object(), nil
	}
	if b.calls.client.aws {
		return objectstore.Object{}, fmt.Errorf("stat %s: %w", b.calls.uri(key), objectstore.ErrNotFound)
	}
	o := objectstore.Listed{Key: []byte(key)}
	if err := b.calls.head(ctx, &o); err != nil {
		return objectstore.Object{}, fmt.Errorf("stat %s: %w", b.calls.uri(key), err)
	}
	return o.Object(), nil
}

// Put implements objectstore.Store. A retry sends the body again from its start. S3
// stores an object completely or not at all.
func (b *Bucket) Put(ctx context.Context, key string, body []byte, sum objectstore.Sum) error {
	sum = sum.Of(body)
	checksum := !b.calls.client.cfg.NoPutChecksums
	err := b.calls.call(ctx, func() error {
		in := &s3.PutObjectInput{
			Bucket: &b.calls.name, Key: &key,
			Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))),
		}
		_, err := b.calls.client.s3.PutObject(ctx, in, b.calls.as, withSums(in, sum, checksum))
		return err
	})
	if err != nil && checksum && errors.Is(err, objectstore.ErrRefused) && blamesChecksum(err) {
		err = fmt.Errorf("%w; set s3.put_checksums to false if the store takes no x-amz-checksum-sha256", err)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", b.calls.uri(key), err)
	}
	return nil
}

// Delete deletes one object, or nothing if there is none.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	err := b.calls.call(ctx, func() error {
		_, err := b.calls.client.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.calls.name, Key: &key}, b.calls.as)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete %s: %w", b.calls.uri(key), err)
	}
	return nil
}

func (c *calls) uri(key string) objectstore.URI {
	return objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: c.name, Key: key}
}
