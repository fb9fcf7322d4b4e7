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

// importBodies tells what requests to import ask for. Nobody has logged in yet when it reads a body, so
// it reads few at a time, and no long ones.
type importBodies struct {
	readers slots
	memory  *Budget
}

func newImportBodies(memory *Budget) *importBodies {
	return &importBodies{readers: make(slots, limits.AnonymousRequests), memory: memory}
}

// asked is what decides who serves a request to import.
type asked struct {
	others bool // it names a source that this service does not list
	dry    bool // it is a dry run, which lakeFS does not know: lakeFS would import
}

// perReadByte is the memory in bytes for each byte of a body: those that it is read into.
const perReadByte = 4

// in returns what a request to import asks for. The body of the request can be read again. A body
// that is too long to be read here asks for nothing. An error is errBusy, or that of a client that
// has gone.
func (b *importBodies) in(r *http.Request) (asked, error) {
	if r.ContentLength < 0 || r.ContentLength > limits.AnonymousBody {
		return asked{}, nil
	}
	if !b.readers.tryAcquire() {
		return asked{}, errBusy
	}
	defer b.readers.release()
	release, err := b.memory.take(r.Context(), r.ContentLength*perReadByte)
	if err != nil {
		return asked{}, err
	}
	defer release()
	body, err := io.ReadAll(r.Body)
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), endsWith{err}), r.Body}
	if err != nil {
		return asked{}, nil
	}
	return askedBy(body), nil
}

// endsWith is a reader that returns an error at once; nil is io.EOF.
type endsWith struct{ err error }

func (f endsWith) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// askedBy returns what a body of lakeFS 1.x asks for.
func askedBy(body []byte) (a asked) {
	var request struct {
		DryRun bool `json:"dry_run"`
		Paths  []struct {
			Path otherSource `json:"path"`
		} `json:"paths"`
	}
	if json.Unmarshal(body, &request) != nil {
		return asked{}
	}
	a.dry = request.DryRun
	for _, p := range request.Paths {
		a.others = a.others || bool(p.Path)
	}
	return a
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

// serveImport serves a request to import, or hands it to the server: all with hand_back, and
// else one that names a source that this service does not list.
func (p *proxy) serveImport(w http.ResponseWriter, r *http.Request) {
	a, err := p.bodies.in(r)
	handOn := p.handBack || p.otherSources && a.others
	switch {
	case errors.Is(err, errBusy):
		tooMany(w, busyRetryAfter, err.Error())
	case err != nil:
		panic(http.ErrAbortHandler) // the client has gone
	case handOn && a.dry:
		refuse(w, http.StatusBadRequest, "dry_run: true is not supported: this import is handed to the lakeFS server, which has no dry runs and would import")
	case handOn:
		p.pass(w, r)
	default:
		p.ours.ServeHTTP(w, r)
	}
}
