package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// need is what a request needs, in bytes.
type need struct {
	body    int64 // the longest body; 0: the body is ignored
	perByte int64 // memory for each byte of the body
	fixed   int64 // memory besides
}

// The memory that requests need in bytes, as tests have measured it.
const (
	perByte      = 16       // of JSON with many small values
	perRangeByte = 3        // of JSON of ranges: their metadata, and the metarange
	perResult    = 6 << 10  // on a page: key and address, and the JSON of both
	forRange     = 24 << 20 // that is written
	perCommit    = 16 << 10 // on a page, which limits.LogPage bounds
)

// memory estimates what a request will use.
func (n need) memory(r *http.Request) int64 {
	length := n.body
	if r.ContentLength >= 0 {
		length = min(length, r.ContentLength)
	}
	return length*n.perByte + n.fixed
}

// readBody passes the body to read. With an error, code is the status to answer.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, read func(io.Reader) error) (code int, err error) {
	if limit == 0 {
		return 0, nil
	}
	body := bufio.NewReader(http.MaxBytesReader(w, r.Body, limit))
	defer discard(body)
	if _, err = body.Peek(1); err == nil {
		err = checkMediaType(r.Header.Get("Content-Type"))
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil {
		err = read(body)
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("more than %d bytes", limit)
	}
	return http.StatusBadRequest, err
}

// discard reads the rest of a body: a client that is still sending when the connection is
// closed may miss the answer.
func discard(body io.Reader) { _, _ = io.Copy(io.Discard, body) }

// whole returns a function that passes a body to read in one piece.
func whole(read func([]byte) error) func(io.Reader) error {
	return func(body io.Reader) error {
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		return read(data)
	}
}
