package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// need is what a request takes: its body, and memory.
type need struct {
	body    int64 // the longest body in bytes; 0: the body means nothing
	perByte int64 // memory for each byte of the body
	beside  int64 // memory besides
}

// What requests need in memory, as tests have measured it.
const (
	perByte      = 16       // of JSON with many small values
	perRangeByte = 3        // of ranges: their metadata, and the metarange
	perResult    = 6 << 10  // of a page: key and address, and the JSON of both
	forRange     = 24 << 20 // that is written
	perCommit    = 16 << 10 // of a page, which limits.LogPage bounds
)

// memory reckons what a request will hold.
func (n need) memory(r *http.Request) int64 {
	length := n.body
	if r.ContentLength >= 0 {
		length = min(length, r.ContentLength)
	}
	return length*n.perByte + n.beside
}

// readBody hands the body to read. code says what is wrong with it.
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

// discard reads the rest of a body: a client that still sends when the connection is
// closed may miss the answer.
func discard(body io.Reader) { _, _ = io.Copy(io.Discard, body) }

// whole reads a body in one piece.
func whole(read func([]byte) error) func(io.Reader) error {
	return func(body io.Reader) error {
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		return read(data)
	}
}
