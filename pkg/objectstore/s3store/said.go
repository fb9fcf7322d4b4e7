package s3store

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// contradiction returns an error if a page says that it answers another request than q,
// or does not hold the keys that it says it holds. Such a page may lack keys.
//
// A field that is missing or unreadable contradicts nothing: many stores repeat little of
// the request, Ceph does not encode what it repeats, and XML cannot carry all of it. A
// page that is shorter than it may be contradicts nothing either, nor does another
// MaxKeys, nor a KeyCount that is too low: no key is missing.
func (l *lister) contradiction(page *listxml.Page, q ask) error {
	said := &page.Said
	var what string
	switch {
	case len(said.RolledUp) > 0:
		what = fmt.Sprintf("keys that begin with %q are left out, as the store lists them as a common prefix, and no delimiter was asked for", said.RolledUp)
	case len(said.Delimiter) > 0:
		what = fmt.Sprintf("the answer is to a request with the delimiter %q, and none was asked for", said.Delimiter)
	case !l.isName(said.Bucket):
		what = fmt.Sprintf("the answer is of the bucket %q", said.Bucket)
	case !repeats(said.Prefix, q.prefix):
		what = fmt.Sprintf("the answer is to a request with the prefix %q", said.Prefix)
	case q.token == "" && !repeats(said.StartAfter, q.startAfter()):
		what = fmt.Sprintf("the answer is to a request with start-after %q, and %q was asked for", said.StartAfter, q.startAfter())
	case said.KeyCount > len(page.Objects):
		what = fmt.Sprintf("the store says that the page has %d keys, and it has %d", said.KeyCount, len(page.Objects))
	case len(page.Objects) > q.keys:
		what = fmt.Sprintf("the page has %d keys, and at most %d were asked for", len(page.Objects), q.keys)
	default:
		return nil
	}
	return fmt.Errorf("%s: %w", what, objectstore.ErrBadListing)
}

// isName reports whether a store may call the bucket by this name. AWS sends the bucket's
// own name also if the request names an access point, and Ceph omits the tenant.
func (l *lister) isName(name []byte) bool {
	if len(name) == 0 || l.calls.client.aws || string(name) == l.calls.name {
		return true
	}
	tenant, bucket, ok := strings.Cut(l.calls.name, ":")
	return ok && (string(name) == bucket || string(name) == tenant+"/"+bucket)
}

// repeats reports whether a text may repeat a parameter of the request.
func repeats(text []byte, asked string) bool {
	return len(text) == 0 || string(text) == asked ||
		listxml.Reads(text, listxml.Query, asked) || listxml.Reads(text, listxml.Escaped, asked) ||
		unreadable(text) || unreadable([]byte(asked))
}

// unreadable reports whether a text holds characters that XML cannot carry, or what
// stores send instead of them.
func unreadable(text []byte) bool {
	return !utf8.Valid(text) || bytes.ContainsRune(text, utf8.RuneError) || bytes.ContainsAny(text, "\uffff\ufffe") ||
		bytes.IndexFunc(text, func(r rune) bool { return r < ' ' }) >= 0 || bytes.Contains(text, []byte("&#"))
}
