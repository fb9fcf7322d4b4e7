package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// otherSources tells imports from sources that this service does not list. Nobody has logged in
// yet when it reads a body, so it reads few at a time, and no long ones.
type otherSources struct {
	readers slots
	memory  *Budget
}

func newOtherSources(memory *Budget) *otherSources {
	return &otherSources{readers: make(slots, limits.AnonymousRequests), memory: memory}
}

// perReadByte is the memory in bytes for each byte of a body: those that it is read into.
const perReadByte = 4

// in reports whether a request to import names such a source. The body of the request can be
// read again. A body that is too long to be read here has none. An error is errBusy, or that of
// a client that has gone.
func (o *otherSources) in(r *http.Request) (bool, error) {
	if r.ContentLength < 0 || r.ContentLength > limits.AnonymousBody {
		return false, nil
	}
	if !o.readers.tryAcquire() {
		return false, errBusy
	}
	defer o.readers.release()
	release, err := o.memory.take(r.Context(), r.ContentLength*perReadByte)
	if err != nil {
		return false, err
	}
	defer release()
	body, err := io.ReadAll(r.Body)
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), endsWith{err}), r.Body}
	return err == nil && namesOthers(body), nil
}

// endsWith is a reader that returns an error at once; nil is io.EOF.
type endsWith struct{ err error }

func (f endsWith) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// namesOthers reports whether a body of lakeFS 1.x names a source in a store that this service
// does not list.
func namesOthers(body []byte) bool {
	var request struct {
		Paths []struct {
			Path otherSource `json:"path"`
		} `json:"paths"`
	}
	if json.Unmarshal(body, &request) != nil {
		return false
	}
	for _, p := range request.Paths {
		if p.Path {
			return true
		}
	}
	return false
}

// otherSource says whether a source is in such a store. It takes less memory than the source.
type otherSource bool

// UnmarshalJSON reads a source.
func (o *otherSource) UnmarshalJSON(text []byte) error {
	var uri string
	err := json.Unmarshal(text, &uri)
	scheme, _, ok := strings.Cut(uri, "://")
	*o = otherSource(ok && scheme != objectstore.SchemeS3 && scheme != objectstore.SchemeLocal)
	return err
}

// serveImport serves a request to import, or hands it to the server if it names a source that
// this service does not list.
func (p *proxy) serveImport(w http.ResponseWriter, r *http.Request) {
	switch others, err := p.others.in(r); {
	case errors.Is(err, errBusy):
		tooMany(w, busyRetryAfter, err.Error())
	case err != nil:
		panic(http.ErrAbortHandler) // the client has gone
	case others:
		p.pass(w, r)
	default:
		p.ours.ServeHTTP(w, r)
	}
}
