package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// GetObject answers the content of an object of the tree at a ref, or one range of it.
func (h *handlers) GetObject(w http.ResponseWriter, r *http.Request, repository, ref string, params api.GetObjectParams) {
	if refusePresign(w, params.Presign) {
		return
	}
	// A large object may take longer than a request has for anything else. Its parts have
	// deadlines.
	connected := r.Context()
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		e, err := h.entryAt(ctx, repository, ref, params.Path)
		if err != nil {
			return 0, nil, err
		}
		tag := entityTag(e)
		if matches(params.IfNoneMatch, tag) {
			w.Header().Set("ETag", tag)
			return http.StatusNotModified, nil, nil
		}
		if v := r.Header.Get("If-Range"); v != "" && v != tag {
			params.Range = ""
		}
		from, to, ok := readRange(params.Range, e.Size)
		if !ok {
			return noRange(w, e.Size)
		}
		release, err := h.takeTransfer(ctx)
		if err != nil {
			return 0, nil, err
		}
		defer release()
		err = h.transfer(connected, w, repository, e, transfer{from, to, params.Range != ""})
		return 0, answered{}, err
	})
}

// HeadObject answers the header of GetObject, without a look at the object's store.
func (h *handlers) HeadObject(w http.ResponseWriter, r *http.Request, repository, ref string, params api.HeadObjectParams) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		e, err := h.entryAt(ctx, repository, ref, params.Path)
		if err != nil {
			return 0, nil, err
		}
		from, to, ok := readRange(params.Range, e.Size)
		if !ok {
			return noRange(w, e.Size)
		}
		return transfer{from, to, params.Range != ""}.describe(w.Header(), e), nil, nil
	})
}

// entryAt returns an entry of the tree at a ref.
func (h *handlers) entryAt(ctx context.Context, repository, ref, path string) (entry.Entry, error) {
	return readTree(ctx, h.service, repository, ref, func(tree *metarange.Tree) (entry.Entry, error) {
		return tree.Stat(ctx, path)
	})
}

// takeTransfer waits for a slot and for memory to read the content of an object.
func (h *handlers) takeTransfer(ctx context.Context) (release func(), err error) {
	if !h.transfers.acquire(ctx, maxWait) {
		return nil, fault.TooMany("too many objects are read at a time, try again")
	}
	free, err := h.budget.take(ctx, 2*limits.ContentPart)
	if err != nil {
		h.transfers.release()
		if errors.Is(err, errBusy) {
			err = fault.TooMany("%v", err)
		}
		return nil, err
	}
	return func() { free(); h.transfers.release() }, nil
}

// transfer is what is answered of an object: bytes from up to, not including, to.
type transfer struct {
	from, to int64
	part     bool // the client asked for a range
}

// describe sets the header of an answer, and returns its code. There is no Content-Disposition:
// lakefs-client 0.110 fails at one without a file name, and browsers save these types anyway.
func (t transfer) describe(header http.Header, e entry.Entry) (code int) {
	header.Set("ETag", entityTag(e))
	header.Set("Last-Modified", e.ModTime.UTC().Format(http.TimeFormat))
	header.Set("Accept-Ranges", "bytes")
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.FormatInt(t.to-t.from, 10))
	header.Set("Cache-Control", "no-store, must-revalidate") // it is for this user alone
	header.Set("Expires", "0")
	if !t.part {
		return http.StatusOK
	}
	header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", t.from, t.to-1, e.Size))
	return http.StatusPartialContent
}

// transferWithin is how long a client may take to receive a part of an object.
const transferWithin = time.Minute

// transfer answers with content, unless it returns an error. If reading fails once the answer
// has begun, it cuts the connection: the client must not take what it has for the object.
func (h *handlers) transfer(ctx context.Context, w http.ResponseWriter, repository string, e entry.Entry, t transfer) error {
	parts, err := h.service.Content(ctx, repository, e)
	if err != nil {
		return unreadable{err}
	}
	conn := http.NewResponseController(w)
	begun := false
	begin := func() {
		if !begun {
			begun = true
			w.WriteHeader(t.describe(w.Header(), e))
		}
	}
	for part, err := range parts(ctx, t.from, t.to) {
		if err != nil && !begun {
			return err
		}
		if err != nil {
			h.log.WarnContext(ctx, "answer cut off, as the object could not be read to its end", "request_id", requestID(w), "err", err)
			panic(http.ErrAbortHandler)
		}
		_ = conn.SetWriteDeadline(time.Now().Add(transferWithin)) // that of the server is for a whole answer; recorders of tests have none
		begin()
		if _, err := w.Write(part); err != nil {
			return nil // the client has gone
		}
	}
	begin() // of an empty object
	return nil
}

// entityTag returns the ETag of an object as a header has it.
func entityTag(e entry.Entry) string { return `"` + e.ETag + `"` }

// matches reports whether a header If-None-Match names an ETag.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

// noRange answers a range that is malformed or not satisfiable. Like lakeFS, it does not
// answer the whole object to a malformed one.
func noRange(w http.ResponseWriter, size int64) (code int, body any, err error) {
	w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
	return http.StatusRequestedRangeNotSatisfiable, api.Error{Message: "Requested Range Not Satisfiable"}, nil
}

// readRange returns the bytes that a header Range names: all if it is empty. ok is false if
// they are more than one range, or none of an object of the size.
func readRange(header string, size int64) (from, to int64, ok bool) {
	if header == "" {
		return 0, size, true
	}
	text, isBytes := strings.CutPrefix(header, "bytes=")
	first, last, isRange := strings.Cut(text, "-")
	if !isBytes || !isRange {
		return 0, 0, false
	}
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	if first == "" { // the last bytes
		n, err := position(last)
		return max(0, size-n), size, err == nil && n > 0 && size > 0
	}
	from, err := position(first)
	if err != nil {
		return 0, 0, false
	}
	to = size
	if last != "" {
		end, err := position(last)
		if err != nil || end < from {
			return 0, 0, false
		}
		to = min(size-1, end) + 1
	}
	return from, to, from < to
}

// position reads a number of a header Range: digits only.
func position(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err
}
