package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// input is what an operation reads of a request, and what it needs: memory, in bytes, and
// time. The zero input ignores the body.
type input struct {
	limit   int64                 // of the body; 0: the body is ignored
	perByte int64                 // memory for each byte of the body
	fixed   int64                 // memory besides
	read    func(io.Reader) error // reads the body
	slow    bool                  // writes a range, a metarange or a tree: it may take requestTimeout

	anybody bool // every caller may do it: there is no such operation

	// names adds what the body names to what the request needs. nil: nothing, the path and
	// the query name all.
	names func(*access.Request) error
}

// The memory that requests need in bytes, as tests have measured it.
const (
	perByte      = 16       // of JSON with many small values
	perRangeByte = 3        // of JSON of ranges: their metadata, and the metarange
	perResult    = 6 << 10  // on a page: key and address, and the JSON of both
	forRange     = 24 << 20 // that is written
	forTree      = 10 << 20 // that is verified: two parts of its metarange
	perVerified  = 12 << 10 // on a page of ranges: two keys, a fault with both, and the JSON of them
	perImport    = 16 << 10 // on a page: the source, the error, and the JSON of both
	perCommit    = 16 << 10 // on a page, which limits.LogPage bounds
)

// jsonBody returns the input of an operation that reads a body of JSON in one piece.
func jsonBody(read func([]byte) error) input {
	return input{limit: limits.Body, perByte: perByte, read: func(body io.Reader) error {
		if body == http.NoBody {
			return read(nil)
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		return read(data)
	}}
}

// asks returns what a request names, whose body has been read.
func (in input) asks(r *http.Request) (access.Request, error) {
	asked := requestOf(r)
	if in.names == nil {
		return asked, nil
	}
	err := in.names(&asked)
	return asked, err
}

// about returns the input with what its body names, which cannot be malformed.
func (in input) about(names func(*access.Request)) input {
	in.names = func(r *access.Request) error {
		names(r)
		return nil
	}
	return in
}

// into returns a function that reads a body as a T.
func into[T any](v *T) func([]byte) error {
	return func(data []byte) (err error) {
		*v, err = decode[T](data)
		return err
	}
}

// optional returns read for bodies that may be absent.
func optional(read func([]byte) error) func([]byte) error {
	return func(data []byte) error {
		if len(bytes.TrimSpace(data)) == 0 {
			return nil
		}
		return read(data)
	}
}

// memory estimates what a request will use. The length of its body is -1 if it is unknown.
func (in input) memory(length int64) int64 {
	if length < 0 || length > in.limit {
		length = in.limit
	}
	return length*in.perByte + in.fixed
}

// readBody reads the body of a request. With an error, code is the status to answer.
func (in input) readBody(w http.ResponseWriter, r *http.Request) (code int, err error) {
	if in.limit == 0 {
		return 0, nil
	}
	if r.Body == http.NoBody {
		return http.StatusBadRequest, in.read(http.NoBody)
	}
	body := bufio.NewReader(http.MaxBytesReader(w, r.Body, in.limit))
	defer discard(body)
	if _, err = body.Peek(1); err == nil {
		err = checkMediaType(r.Header.Get("Content-Type"))
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil {
		err = in.read(body)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("more than %d bytes", in.limit)
	}
	return http.StatusBadRequest, err
}

// discard reads the rest of a body: a client that is still sending when the connection is
// closed may miss the answer.
func discard(body io.Reader) { _, _ = io.Copy(io.Discard, body) }

// checkMediaType refuses the media types that a page of another web site can make a browser send
// without asking this server, together with credentials that the browser keeps.
func checkMediaType(header string) error {
	if header == "" {
		return errors.New("header Content-Type is missing, want application/json")
	}
	if media, _, err := mime.ParseMediaType(header); err != nil || media != "application/json" {
		return fmt.Errorf("header Content-Type is %q, want application/json", header)
	}
	return nil
}
