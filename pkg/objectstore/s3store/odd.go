package s3store

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// shownBody is how many bytes of an odd answer its error shows.
const shownBody = 100

// oddAnswer is the error for a response with status 200 that is not a page of a listing.
type oddAnswer struct {
	kind    string // what it is; equal for similar answers
	begins  []byte // the first bytes of its body
	passing bool   // it may be transient: a proxy's answer while the store is away, or cut short
	cause   error
}

// Error implements error.
func (o *oddAnswer) Error() string {
	if len(o.begins) == 0 {
		return o.kind
	}
	return fmt.Sprintf("%s; it begins with %q", o.kind, o.begins)
}

// Unwrap returns why it is not a page.
func (o *oddAnswer) Unwrap() error { return o.cause }

// odd returns the error for a body that cannot be decoded because of cause.
func (a about) odd(body []byte, cause error) *oddAnswer {
	kind := "the answer is no page of a listing (Content-Type: " + cmp.Or(a.contentType, "none")
	if a.contentEncoding != "" {
		kind += "; Content-Encoding: " + a.contentEncoding
	}
	return &oddAnswer{
		kind:    fmt.Sprintf("%s): %v", kind, cause),
		begins:  bytes.Clone(body[:min(len(body), shownBody)]),
		passing: len(bytes.TrimSpace(body)) == 0 || isHTML(a.contentType, body) || cutShort(cause),
		cause:   cause,
	}
}

func isHTML(contentType string, body []byte) bool {
	begins := strings.ToLower(string(bytes.TrimSpace(body[:min(len(body), shownBody)])))
	return strings.HasPrefix(strings.ToLower(contentType), "text/html") ||
		strings.HasPrefix(begins, "<!doctype html") || strings.HasPrefix(begins, "<html")
}

// cutShort reports whether err is about XML that lacks its end.
func cutShort(err error) bool {
	syntax, ok := errors.AsType[*xml.SyntaxError](err)
	return errors.Is(err, io.ErrUnexpectedEOF) || ok && strings.Contains(syntax.Msg, "unexpected EOF")
}

// After oddFor and oddLeast odd answers of one kind, without a good one between, they are
// no longer transient. A call is retried for longer than that.
const (
	oddFor   = 10 * time.Second
	oddLeast = 4
)

// streak counts the odd answers of a bucket since its last good one. It is safe for
// concurrent use.
type streak struct {
	mu    sync.Mutex
	kind  string
	count int
	since time.Time // of the first of that kind
}

// add counts an odd answer, and reports whether answers of its kind are no longer taken
// for transient.
func (s *streak) add(kind string, now time.Time) (lasting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 || s.kind != kind {
		s.kind, s.count, s.since = kind, 0, now
	}
	s.count++
	return s.count >= oddLeast && now.Sub(s.since) >= oddFor
}

// end ends the streak with a good answer.
func (s *streak) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count = 0
}
