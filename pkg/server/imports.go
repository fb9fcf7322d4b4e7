package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// readImport reads a body of either version, except what it does not hold: the branch and the
// committer. The versions are told apart by the fields that only lakeFS 1.x has. flat says
// that the body is an api.ImportCreation.
func readImport(data []byte) (s coordinator.Start, flat bool, err error) {
	var probe struct{ Paths, Commit json.RawMessage }
	if json.Unmarshal(data, &probe) == nil && (probe.Paths != nil || probe.Commit != nil) {
		s, err = readPaths(data)
		return s, false, err
	}
	s, err = readFlat(data)
	return s, true, err
}

func readPaths(data []byte) (s coordinator.Start, err error) {
	body, err := decode[api.ImportPathsCreation](data)
	if err != nil {
		return s, err
	}
	s.Request = imports.Request{
		Message: body.Commit.Message, Metadata: body.Commit.Metadata, AllowEmpty: body.AllowEmpty, DryRun: body.DryRun,
	}
	s.Paths = convertAll(body.Paths, func(p api.ImportLocation) imports.Path {
		return imports.Path{Type: imports.PathType(p.Type), URI: p.Path, Destination: p.Destination}
	})
	return s, nil
}

func readFlat(data []byte) (s coordinator.Start, err error) {
	body, err := decode[api.ImportCreation](data)
	if err != nil {
		return s, err
	}
	uri, err := oneOf("source_uri", body.SourceURI, "sourceURI", body.SourceURIAlias)
	if err != nil {
		return s, err
	}
	s.Request = imports.Request{
		Message: body.CommitMessage, Metadata: body.Metadata, AllowEmpty: body.AllowEmpty, DryRun: body.DryRun,
	}
	s.Paths = []imports.Path{{Type: imports.CommonPrefix, URI: uri, Destination: body.Prepend}}
	return s, nil
}

// oneOf returns the value of a field that has two names. At most one may be set, or both to
// the same value.
func oneOf(name, value, alias, other string) (string, error) {
	switch {
	case value != "" && other != "" && value != other:
		return "", fault.BadField(alias, "differs from %s", name)
	case value != "":
		return value, nil
	case other != "":
		return other, nil
	}
	return "", fault.BadField(name, missing)
}

// flatNames maps the field names of lakeFS 1.x, which the service uses, to those of
// api.ImportCreation.
var flatNames = map[string]string{
	"paths[0].path":        "source_uri",
	"paths[0].destination": "prepend",
	"commit.message":       "commit_message",
	"commit.metadata":      "metadata",
}

// flatFault renames the field of a fault to what the client calls it.
func flatFault(err error) error {
	if f, ok := errors.AsType[*fault.Fault](err); ok && flatNames[f.Field] != "" {
		return &fault.Fault{Kind: f.Kind, Field: flatNames[f.Field], Text: f.Text}
	}
	return err
}

// ImportStart stores an import and answers its ID.
func (h *handlers) ImportStart(w http.ResponseWriter, r *http.Request, repository, branch string) {
	var start coordinator.Start
	var flat bool
	read := func(data []byte) (err error) {
		start, flat, err = readImport(data)
		return err
	}
	in := jsonBody(read)
	in.names = func(r *access.Request) (err error) {
		if r.Paths, err = coordinator.SourcesOf(start.Paths); flat {
			err = flatFault(err)
		}
		return err
	}
	h.serve(w, r, in, func(ctx context.Context, caller access.Caller) (int, any, error) {
		start.Request.Repository, start.Request.Branch, start.Request.Committer = repository, branch, caller.User
		start.Request.Caller = caller
		if h.gate != nil {
			start.Login = lakefs.Forward(r)
		}
		code := http.StatusAccepted
		if flat {
			code = http.StatusCreated
		}
		id, err := h.traced(ctx, r, code, func(ctx context.Context) (string, error) { return h.service.Start(ctx, start) })
		noted(w).importID = id
		if flat {
			err = flatFault(err)
		}
		return code, api.ImportCreationResponse{ID: id}, err
	})
}

// ImportStatus answers how far an import is.
func (h *handlers) ImportStatus(w http.ResponseWriter, r *http.Request, repository, branch string, params api.ImportStatusParams) {
	var body api.ImportStatus
	h.serve(w, r, jsonBody(optional(into(&body))), func(ctx context.Context, caller access.Caller) (int, any, error) {
		if h.gate != nil {
			if err := h.gate.MayRead(ctx, lakefs.Forward(r), repository, branch); err != nil {
				return 0, nil, err
			}
		}
		id, err := importID(params.ID, body.ImportID)
		if err != nil {
			return 0, nil, err
		}
		key := importKey{repository, branch, id}
		st, err := h.statuses.get(ctx, key, func(wait func()) { awaitOther(r, wait) })
		if err == nil {
			err = h.maySee(ctx, caller, key, st.user)
		}
		return http.StatusOK, st.text, err
	})
}

// ImportCancel cancels an import.
func (h *handlers) ImportCancel(w http.ResponseWriter, r *http.Request, repository, branch string, params api.ImportCancelParams) {
	var body api.ImportStatus
	h.serve(w, r, jsonBody(optional(into(&body))), func(ctx context.Context, caller access.Caller) (int, any, error) {
		if h.gate != nil {
			if cmp.Or(params.ID, body.ImportID) == lakefs.NoImport { // else it would be asked again and again
				return 0, nil, fault.Forbid("the setting lakefs.url leads to this coordinator, and not to a lakeFS server")
			}
			if err := h.gate.MayCancel(ctx, lakefs.Forward(r), repository, branch); err != nil {
				return 0, nil, err
			}
		}
		id, err := importID(params.ID, body.ImportID)
		noted(w).importID = id
		key := importKey{repository, branch, id}
		var st coordinator.Status
		if err == nil {
			st, err = h.importOf(ctx, key)
		}
		if err == nil {
			err = h.maySee(ctx, caller, key, st.Record.Request.StartedBy().User)
		}
		if err == nil {
			err = h.service.Cancel(ctx, repository, id)
		}
		return http.StatusNoContent, nil, err
	})
}

// errNoImport has the message that clients of lakeFS know.
var errNoImport = &fault.Fault{Kind: fault.NotFound, Text: "not found"}

// importID returns the ID of an import, which is in the query or in the body.
func importID(id, inBody string) (string, error) {
	switch {
	case id == "" && inBody == "":
		return "", fault.BadField("", "%s", parameterError("id", missing))
	case id != "" && inBody != "" && id != inBody:
		return "", fault.BadField("", "%s", parameterError("id", "differs from import_id of the body"))
	}
	return cmp.Or(id, inBody), nil
}

// importKey names an import.
type importKey struct{ repository, branch, id string }

// importOf finds an import under its own repository and branch only, since permissions are
// granted on those.
func (h *handlers) importOf(ctx context.Context, key importKey) (coordinator.Status, error) {
	st, err := h.service.Status(ctx, key.repository, key.id)
	switch {
	case fault.Is(err, fault.NotFound) && h.gate != nil:
		return st, errNoImport
	case fault.Is(err, fault.NotFound):
		if _, err := h.catalog.Repository(ctx, key.repository); err != nil {
			return st, err
		}
		return st, errNoImport
	case err == nil && (st.Record.Request.Repository != key.repository || st.Record.Request.Branch != key.branch):
		return st, errNoImport
	}
	return st, err
}

// mayManage returns a fault.Denied if a caller may not manage the imports of other users.
func (h *handlers) mayManage(ctx context.Context, caller access.Caller, b branchName) error {
	return h.may(ctx, caller, access.On(access.ManageImports, access.Branch(b.repository, b.branch)))
}

// maySee returns errNoImport if an import is that of another user, and the caller may not
// manage those. A lakeFS server does not tell the imports of its users apart.
func (h *handlers) maySee(ctx context.Context, caller access.Caller, key importKey, startedBy string) error {
	if h.gate != nil || startedBy == caller.User {
		return nil
	}
	err := h.mayManage(ctx, caller, branchName{key.repository, key.branch})
	if fault.Is(err, fault.Denied) {
		return errNoImport
	}
	return err
}

// importStatus is the answer to requests for the status of an import, and who started it.
type importStatus struct {
	text encoded
	user string
}

func (h *handlers) status(ctx context.Context, key importKey) (importStatus, error) {
	st, err := h.importOf(ctx, key)
	if err != nil {
		return importStatus{}, err
	}
	return importStatus{encode(statusOf(st)), st.Record.Request.StartedBy().User}, nil
}
