package s3store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// WalkPage implements objectstore.Pager. It passes on the end that the store reports: a
// caller that has seen all pages may look behind it. If a page neither says whether more
// keys follow nor has a token, WalkPage makes sure that no key follows.
//
// If a token leads back to its own page, the pages from there on are requested by the
// last key before them, as there is no other way.
func (b *Bucket) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (next string, err error) {
	a := b.calls.client.answers.Get().(*answer)
	defer b.calls.client.answers.Put(a)
	at, err := parsePlace(token)
	if err == nil {
		at, err = b.lister.walkFrom(ctx, a, prefix, at, take)
	}
	if err != nil {
		return "", fmt.Errorf("walk %s: %w", b.calls.uri(prefix), err)
	}
	return at.String(), nil
}

// walkFrom calls take with the page at a place, and returns the place of the one after it.
func (l *lister) walkFrom(ctx context.Context, a *answer, prefix string, at place, take func([]objectstore.Listed)) (next place, err error) {
	q := ask{prefix: prefix, token: at.token, walk: at.token != "" || at.after == ""}
	if at.token == "" {
		q.after = at.after
	}
	objects, err := l.page(ctx, a, q)
	if err == nil && at.token != "" && string(a.page.Next) == at.token && !brings(objects, at.after) {
		q = ask{prefix: prefix, after: at.after}
		objects, err = l.page(ctx, a, q)
	}
	more := false
	if err == nil {
		more, err = l.walksOn(ctx, a, q, objects)
	}
	if err != nil {
		return place{}, err
	}
	next.after = at.after
	if n := len(objects); n > 0 {
		take(objects)
		next.after = max(next.after, string(objects[n-1].Key))
	}
	if !more {
		return place{}, nil
	}
	if q.walk {
		next.token = string(a.page.Next)
	}
	return next, nil
}

// walksOn reports whether keys follow the objects of the page in a, the answer to q.
func (l *lister) walksOn(ctx context.Context, a *answer, q ask, objects []objectstore.Listed) (bool, error) {
	more, err := l.more(ctx, a, q.prefix, objects)
	switch {
	case err != nil:
		return false, err
	case !more && !q.walk && len(objects) > 0: // the end is that of a store that is not reliable
		return l.follow(ctx, q.prefix, string(objects[len(objects)-1].Key))
	case more && q.walk && len(a.page.Next) == 0:
		return false, fmt.Errorf("the store says that more keys follow and sends no continuation token: %w", objectstore.ErrBadListing)
	}
	return more, nil
}

// brings reports whether any of the objects has a key after the given one.
func brings(objects []objectstore.Listed, after string) bool {
	return len(objects) > 0 && string(objects[len(objects)-1].Key) > after
}

// place is where a page of a walk begins: where the store's token leads to or, without a
// token, after a key. Callers have it as their token. The zero place is both the start and
// the end.
type place struct {
	token string
	after string // the last key of the pages before
}

// String returns the place as a token, "" for the zero one.
func (p place) String() string {
	if p == (place{}) {
		return ""
	}
	return strconv.Itoa(len(p.token)) + ":" + p.token + p.after
}

// parsePlace is the inverse of String.
func parsePlace(text string) (place, error) {
	if text == "" {
		return place{}, nil
	}
	length, rest, ok := strings.Cut(text, ":")
	n, err := strconv.Atoi(length)
	if !ok || err != nil || n < 0 || n > len(rest) {
		return place{}, fmt.Errorf("%q is no token of a walk: %w", text, objectstore.ErrRefused)
	}
	return place{token: rest[:n], after: rest[n:]}, nil
}
