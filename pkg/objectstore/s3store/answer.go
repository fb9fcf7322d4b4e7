package s3store

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/sigv4"
)

// maxBody bounds the body of a page. One of 1000 keys of 1024 bytes, each of them
// encoded as three, is half of it.
const maxBody = 8 << 20

// firstBody is the size of the buffer, in bytes, for the body of the first page. Later
// pages get the usual size of a body and an eighth more.
const firstBody = 256 << 10

// answer reads and decodes the pages of one listing, one after another, into the same
// memory. As middleware of an SDK call it takes the body of a page away from the SDK,
// whose decoder takes longer for a page than everything else that is done with it.
// The SDK still finds credentials and the endpoint, signs, sends and reads errors.
type answer struct {
	body   []byte
	about  about         // the header of the response
	usual  *atomic.Int64 // bytes of a body; all answers of a client share it
	page   listxml.Page
	route  *route       // of the SDK's request, if pages can be requested by it without the SDK
	signer sigv4.Signer // of pages that are requested directly
	query  []byte       // scratch of those
}

var _ middleware.DeserializeMiddleware = (*answer)(nil)

// register adds a to the middleware of a call, nearest to the wire.
func (a *answer) register(stack *middleware.Stack) error {
	return stack.Deserialize.Insert(a, "OperationDeserializer", middleware.After)
}

// ID implements middleware.DeserializeMiddleware.
func (*answer) ID() string { return "DecodePage" }

// HandleDeserialize implements middleware.DeserializeMiddleware. It decodes
// the page of a successful response and leaves the SDK an empty body.
func (a *answer) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	a.reset()
	out, metadata, err = next.HandleDeserialize(ctx, in)
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || response.StatusCode < 200 || response.StatusCode > 299 {
		return out, metadata, err
	}
	if sent, ok := in.Request.(*smithyhttp.Request); ok {
		a.route = routeOf(sent.Request)
	}
	err = a.read(response.Response)
	_ = response.Body.Close()
	response.Body = http.NoBody
	if err == nil {
		err = a.decode()
	}
	return out, metadata, err
}

// reset forgets what was read before.
func (a *answer) reset() { a.page, a.route = listxml.Page{Objects: a.page.Objects[:0]}, nil }

// about is what the header of a response says about its body and the store.
type about struct{ contentType, contentEncoding, server, requestID string }

func aboutOf(r *http.Response) about {
	h := r.Header
	return about{h.Get("Content-Type"), h.Get("Content-Encoding"), h.Get("Server"), h.Get("X-Amz-Request-Id")}
}

// read reads the body of an answer to its end. One that was cut short is an error.
func (a *answer) read(r *http.Response) error {
	a.about = aboutOf(r)
	if err := a.readBody(r.Body); err != nil {
		return err
	}
	a.usual.Store(max(int64(len(a.body)), a.usual.Load()*7/8)) // slowly down: the last page of a listing may be short
	if !bytes.HasPrefix(a.body, gzipMagic) {
		return nil
	}
	compressed := a.body
	err := a.gunzip(compressed)
	if err != nil && !objectstore.Permanent(err) {
		return a.about.odd(compressed, err)
	}
	return err
}

// readError reads the first maxErrorBody bytes of the body of an error response.
func (a *answer) readError(r *http.Response) error {
	a.about = aboutOf(r)
	return a.readBody(io.LimitReader(r.Body, maxErrorBody))
}

func (a *answer) readBody(body io.Reader) error {
	a.body = a.body[:0]
	for {
		if len(a.body) == cap(a.body) {
			a.grow()
		}
		n, err := body.Read(a.body[len(a.body):cap(a.body)])
		a.body = a.body[:len(a.body)+n]
		switch {
		case len(a.body) > maxBody:
			return fmt.Errorf("the page has more than %d bytes: %w", maxBody, objectstore.ErrBadListing)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the page: %w", err)
		}
	}
}

// gzipMagic begins what is compressed by gzip, and no XML.
var gzipMagic = []byte{0x1f, 0x8b}

// gunzip decompresses a body. No request asks for compression, but some proxies
// compress anyway.
func (a *answer) gunzip(compressed []byte) error {
	from, err := gzip.NewReader(bytes.NewReader(compressed))
	if err == nil {
		a.body = nil
		err = a.readBody(from)
	}
	if err != nil {
		return fmt.Errorf("decompress the page: %w", err)
	}
	return nil
}

// grow makes room for more of a body, but not for much more: every call in flight has
// a body of its own.
func (a *answer) grow() {
	room := int(a.usual.Load()) * 9 / 8
	if room == 0 {
		room = firstBody
	}
	if len(a.body) > 0 {
		room = len(a.body) * 5 / 4
	}
	a.body = append(make([]byte, 0, room), a.body...)
}

// decode decodes the page from the body, which it changes.
func (a *answer) decode() error {
	err := a.page.Decode(a.body)
	if err == nil || objectstore.Permanent(err) {
		return err
	}
	if instead, ok := errors.AsType[*listxml.Error](err); ok { // stores may notice after they said that all is well
		return &smithy.GenericAPIError{Code: instead.Code, Message: instead.Message}
	}
	if unspeakable(err) && a.isXML() {
		return fmt.Errorf("the page holds a character that XML cannot carry and the store does not encode: %w: %w",
			objectstore.ErrBadKey, err)
	}
	return a.about.odd(a.body, err)
}

// isXML reports whether the body looks as if it were XML.
func (a *answer) isXML() bool {
	return bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<")) && a.about.contentEncoding == ""
}

// unspeakable reports whether err is about a page with bytes that XML forbids. It is
// false for a page that was cut short: the next call may get all of it.
func unspeakable(err error) bool {
	syntax, ok := errors.AsType[*xml.SyntaxError](err)
	return ok && (strings.HasPrefix(syntax.Msg, "invalid UTF-8") || strings.HasPrefix(syntax.Msg, "illegal character"))
}
