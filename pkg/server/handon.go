package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	others bool // it names a source that this service does not list, and none that it does
	dry    bool // it is a dry run, which lakeFS does not know: lakeFS would import
	unread int  // why the body was not read, as the status of a refusal; 0: it was
}

// perReadByte is the memory in bytes for each byte of a body: those that it is read into, and twice
// what is looked at.
const perReadByte = 6

// in returns what a request to import asks for. The body of the request can be read again. A body
// that is too long to be read here, or does not say how long it is, is not read. An error is errBusy,
// or that of a client that has gone.
func (b *importBodies) in(r *http.Request) (asked, error) {
	switch {
	case r.ContentLength < 0:
		return asked{unread: http.StatusLengthRequired}, nil
	case r.ContentLength > limits.AnonymousBody:
		return asked{unread: http.StatusRequestEntityTooLarge}, nil
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

// askedBy returns what a body of lakeFS 1.x asks for. A server may read its first value and not look
// at what follows, or at the type of a field that it does not know. So dry_run is believed if the
// first value has it, unless it is false.
func askedBy(body []byte) (a asked) {
	var request struct {
		DryRun json.RawMessage `json:"dry_run"`
		Paths  json.RawMessage `json:"paths"`
	}
	first := json.NewDecoder(bytes.NewReader(body))
	if first.Decode(&request) != nil {
		return asked{}
	}
	a.dry = len(request.DryRun) > 0 && string(request.DryRun) != "false" && string(request.DryRun) != "null"
	var paths []struct {
		Path sourceKind `json:"path"`
	}
	if len(request.Paths) == 0 || json.Unmarshal(request.Paths, &paths) != nil {
		return a
	}
	for _, p := range paths {
		if p.Path == ownSource { // sources.allow and access.file say whether it may be imported
			return asked{dry: a.dry}
		}
		a.others = a.others || p.Path == otherSource
	}
	return a
}

// sourceKind says who lists a source. It takes less memory than the source.
type sourceKind byte

const (
	noSource    sourceKind = iota // not a URI
	ownSource                     // this service
	otherSource                   // nobody here
)

// UnmarshalJSON reads a source. A lakeFS server takes the letters of a scheme in any case.
func (k *sourceKind) UnmarshalJSON(text []byte) error {
	if string(text) == "null" { // which changes nothing, as with a string
		return nil
	}
	var uri string
	err := json.Unmarshal(text, &uri)
	scheme, _, ok := strings.Cut(uri, "://")
	switch {
	case !ok:
		*k = noSource
	case strings.EqualFold(scheme, objectstore.SchemeS3), strings.EqualFold(scheme, objectstore.SchemeLocal):
		*k = ownSource
	default:
		*k = otherSource
	}
	return err
}

// serveImport serves a request to import, or hands it to the server: all with hand_back, and
// else one that names only sources that this service does not list.
func (p *proxy) serveImport(w http.ResponseWriter, r *http.Request) {
	a, err := p.bodies.in(r)
	handOn := p.handBack || p.otherSources && a.others
	switch {
	case errors.Is(err, errBusy):
		tooMany(w, busyRetryAfter, err.Error())
	case err != nil:
		panic(http.ErrAbortHandler) // the client has gone
	case handOn && a.unread == http.StatusLengthRequired:
		refuse(w, a.unread, "header Content-Length is missing: without it, this import is not handed to the lakeFS server, as it could be a dry run")
	case handOn && a.unread != 0:
		refuse(w, a.unread, fmt.Sprintf("request body has more than %d bytes: this import is not handed to the lakeFS server, as it could be a dry run. Import fewer paths at a time", limits.AnonymousBody))
	case handOn && a.dry:
		refuse(w, http.StatusBadRequest, "dry_run: true is not supported: this import is handed to the lakeFS server, which has no dry runs and would import")
	case handOn:
		p.pass(w, r)
	default:
		p.ours.ServeHTTP(w, r)
	}
}
