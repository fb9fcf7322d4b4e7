package s3store

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// shownBody is how many bytes of an answer that is no page an error shows.
const shownBody = 100

// oddAnswer is an answer that says that all is well, and is no page of a listing.
type oddAnswer struct {
	kind    string // what it is; equal for answers that are alike
	begins  []byte // the first bytes of its body
	passing bool   // it may be what a proxy answers while the store is away, or was cut short
	cause   error
}

// Error implements error.
func (o *oddAnswer) Error() string {
	if len(o.begins) == 0 {
		return o.kind
	}
	return fmt.Sprintf("%s; it begins with %q", o.kind, o.begins)
}

// Unwrap returns why it is no page.
func (o *oddAnswer) Unwrap() error { return o.cause }

// newOddAnswer returns the oddAnswer of a body that cannot be decoded because of the cause.
func newOddAnswer(contentType, contentEncoding string, body []byte, cause error) *oddAnswer {
	o := &oddAnswer{cause: cause, begins: bytes.Clone(body[:min(len(body), shownBody)])}
	kind := fmt.Sprintf("the answer is no page of a listing (Content-Type: %s", orNone(contentType))
	if contentEncoding != "" {
		kind += "; Content-Encoding: " + contentEncoding
	}
	o.kind = fmt.Sprintf("%s): %v", kind, cause)
	o.passing = len(bytes.TrimSpace(body)) == 0 || isHTML(contentType, body) || cutShort(cause)
	return o
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func isHTML(contentType string, body []byte) bool {
	begins := strings.ToLower(string(bytes.TrimSpace(body[:min(len(body), shownBody)])))
	return strings.HasPrefix(strings.ToLower(contentType), "text/html") ||
		strings.HasPrefix(begins, "<!doctype html") || strings.HasPrefix(begins, "<html")
}

// cutShort reports whether err is that of XML that lacks its end.
func cutShort(err error) bool {
	var syntax *xml.SyntaxError
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &syntax) && strings.Contains(syntax.Msg, "unexpected EOF")
}

// How long odd answers of one kind are taken for something that passes: it takes that
// long, and that many of them, with no good answer between. A call is tried for longer.
const (
	oddFor   = 10 * time.Second
	oddLeast = 4
)

// streak is the odd answers of a bucket since its last good one. It is safe for
// concurrent use.
type streak struct {
	mu    sync.Mutex
	kind  string
	count int
	since time.Time // of the first of that kind
}

// add notes an odd answer, and reports whether it is not taken for one that passes any
// more.
func (s *streak) add(kind string, now time.Time) (lasting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 || s.kind != kind {
		s.kind, s.count, s.since = kind, 0, now
	}
	s.count++
	return s.count >= oddLeast && now.Sub(s.since) >= oddFor
}

// end notes a good answer.
func (s *streak) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count = 0
}
