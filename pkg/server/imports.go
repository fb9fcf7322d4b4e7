package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// importRequest is what the two versions of the request have in common.
type importRequest struct {
	paths      []imports.Path
	message    string
	metadata   map[string]string
	allowEmpty bool
	dryRun     bool
	flat       bool // the body is an api.ImportCreation
}

// readImport reads a body of either version. They are told apart by the fields that only
// lakeFS 1.x has.
func readImport(data []byte) (importRequest, error) {
	var probe struct{ Paths, Commit json.RawMessage }
	if json.Unmarshal(data, &probe) == nil && (probe.Paths != nil || probe.Commit != nil) {
		return readPaths(data)
	}
	return readFlat(data)
}

func readPaths(data []byte) (importRequest, error) {
	body, err := decode[api.ImportPathsCreation](data)
	if err != nil {
		return importRequest{}, err
	}
	req := importRequest{
		message: body.Commit.Message, metadata: body.Commit.Metadata, allowEmpty: body.AllowEmpty,
		dryRun: body.DryRun, paths: []imports.Path{},
	}
	for _, p := range body.Paths {
		req.paths = append(req.paths, imports.Path{
			Type: imports.PathType(p.Type), URI: p.Path, Destination: p.Destination,
		})
	}
	return req, nil
}

func readFlat(data []byte) (importRequest, error) {
	body, err := decode[api.ImportCreation](data)
	if err != nil {
		return importRequest{}, err
	}
	uri, err := oneOf("source_uri", body.SourceURI, "sourceURI", body.SourceURIAlias)
	if err != nil {
		return importRequest{}, err
	}
	return importRequest{
		paths:      []imports.Path{{Type: imports.CommonPrefix, URI: uri, Destination: body.Prepend}},
		message:    body.CommitMessage,
		metadata:   body.Metadata,
		allowEmpty: body.AllowEmpty,
		dryRun:     body.DryRun,
		flat:       true,
	}, nil
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
	var f *fault.Fault
	if !errors.As(err, &f) || flatNames[f.Field] == "" {
		return err
	}
	return &fault.Fault{Kind: f.Kind, Field: flatNames[f.Field], Text: f.Text}
}

// ImportStart stores an import and answers its ID.
func (h *handlers) ImportStart(w http.ResponseWriter, r *http.Request, repository, branch string) {
	var req importRequest
	user, ok := h.requests.authenticateAndRead(w, r, func(data []byte) (err error) {
		req, err = readImport(data)
		return err
	})
	if !ok {
		return
	}
	id, err := h.service.Start(r.Context(), coordinator.Start{
		Request: imports.Request{
			Repository: repository, Branch: branch, Committer: user, Message: req.message, Metadata: req.metadata,
			AllowEmpty: req.allowEmpty, DryRun: req.dryRun,
		},
		Paths: req.paths,
	})
	switch {
	case err != nil && req.flat:
		h.errors.answer(w, r, flatFault(err))
	case err != nil:
		h.errors.answer(w, r, err)
	case req.flat:
		answer(w, http.StatusCreated, api.ImportCreationResponse{ID: id})
	default:
		answer(w, http.StatusAccepted, api.ImportCreationResponse{ID: id})
	}
}

// ImportStatus answers how far an import is.
func (h *handlers) ImportStatus(w http.ResponseWriter, r *http.Request, repository, branch string, params api.ImportStatusParams) {
	if st, ok := h.importOf(w, r, repository, branch, params.ID); ok {
		answer(w, http.StatusOK, statusOf(st))
	}
}

// ImportCancel cancels an import.
func (h *handlers) ImportCancel(w http.ResponseWriter, r *http.Request, repository, branch string, params api.ImportCancelParams) {
	st, ok := h.importOf(w, r, repository, branch, params.ID)
	if !ok {
		return
	}
	if err := h.service.Cancel(r.Context(), repository, st.ID); err != nil {
		h.errors.answer(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// importOf authenticates a request about an import, whose ID is in the body or the query,
// and finds the import.
func (h *handlers) importOf(w http.ResponseWriter, r *http.Request, repository, branch, id string) (st coordinator.Status, ok bool) {
	var body api.ImportStatus
	_, ok = h.requests.authenticateAndRead(w, r, optional(into(&body)))
	if !ok {
		return st, false
	}
	switch {
	case body.ImportID == "" && id == "":
		refuse(w, http.StatusBadRequest, parameterError("id", missing))
		return st, false
	case body.ImportID != "" && id != "" && body.ImportID != id:
		refuse(w, http.StatusBadRequest, parameterError("id", "differs from import_id of the body"))
		return st, false
	case id == "":
		id = body.ImportID
	}
	st, err := findImport(r.Context(), h.service, h.catalog, repository, branch, id)
	if err != nil {
		h.errors.answer(w, r, err)
		return st, false
	}
	return st, true
}

// errNoImport has the message that clients of lakeFS know.
var errNoImport = &fault.Fault{Kind: fault.NotFound, Text: "not found"}

// findImport finds an import only under its own repository and branch, since permissions
// are granted on those.
func findImport(ctx context.Context, service Service, repositories Catalog, repository, branch, id string) (coordinator.Status, error) {
	st, err := service.Status(ctx, repository, id)
	switch {
	case fault.Is(err, fault.NotFound):
		if _, err := repositories.Repository(ctx, repository); err != nil {
			return st, err
		}
		return st, errNoImport
	case err != nil:
		return st, err
	case st.Record.Request.Repository != repository || st.Record.Request.Branch != branch:
		return st, errNoImport
	}
	return st, nil
}
