package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// unauthenticated is the text by which clients know that a session has ended.
const unauthenticated = "error authenticating request"

// missing says that a field or parameter is required.
const missing = "value is required but missing"

// into reads a body as a T.
func into[T any](v *T) func([]byte) error {
	return func(data []byte) (err error) {
		*v, err = decode[T](data)
		return err
	}
}

// unauthorized answers who shows no credentials that are anybody's. A browser would
// meet the challenge with a dialog; who sends a cookie has a page to log in.
func unauthorized(w http.ResponseWriter, r *http.Request) {
	if len(r.Header["Cookie"]) == 0 {
		w.Header().Set("WWW-Authenticate", `Basic realm="rangefleet", charset="UTF-8"`)
	}
	refuse(w, http.StatusUnauthorized, unauthenticated)
}

// optional lets a body be absent.
func optional(read func([]byte) error) func([]byte) error {
	return func(data []byte) error {
		if len(bytes.TrimSpace(data)) == 0 {
			return nil
		}
		return read(data)
	}
}

// admit is admitNeeding for a request with a body of at most limit bytes, which is
// handed to read in one piece.
func (h *handlers) admit(w http.ResponseWriter, r *http.Request, limit int64, read func([]byte) error) (user string, ok bool) {
	return h.admitNeeding(w, r, need{body: limit, perByte: perByte}, whole(read))
}

// admitNeeding reads the body of a request and finds out who sends it. It answers what
// is malformed before what is not authenticated, since clients expect that order, and
// waits a while for the memory that the request needs, which it has until it is
// answered, and if nothing can be served. If it has answered, ok is false.
func (h *handlers) admitNeeding(w http.ResponseWriter, r *http.Request, n need, read func(io.Reader) error) (user string, ok bool) {
	user, err := h.authenticate(r)
	if err == nil && user != "" {
		err = h.budget.charge(r, n.memory(r))
	}
	switch {
	case errors.Is(err, auth.ErrSlowDown):
		tooMany(w, auth.SlowDownFor, err.Error()+": try again later")
		return "", false
	case errors.Is(err, errBusy):
		discard(http.MaxBytesReader(w, r.Body, n.body))
		tooMany(w, crowdedFor, err.Error())
		return "", false
	case err != nil:
		h.fail(w, r, err)
		return "", false
	}
	limit := n.body
	if user == "" {
		if !h.nobody.enter() {
			unauthorized(w, r)
			return "", false
		}
		defer h.nobody.leave()
		limit = min(limit, limits.AnonymousBody)
	}
	code, err := readBody(w, r, limit, read)
	switch {
	case err == nil:
	case code == http.StatusRequestEntityTooLarge && user == "":
		// Whether it is malformed is not worth finding out.
	default:
		refuse(w, code, "request body has an error: "+err.Error())
		return "", false
	}
	if user == "" {
		unauthorized(w, r)
		return "", false
	}
	if err := h.reach(r.Context()); err != nil {
		h.fail(w, r, err)
		return "", false
	}
	return user, true
}

// How long a request waits for what all requests need, and how often it looks. A
// connection is restored, and a leader elected, within a second or two mostly. A
// client is told sooner than it stops to listen, and comes back a few times: the
// waits and its pauses between them together outlast a restart.
const (
	patience  = 5 * time.Second
	lookEvery = 100 * time.Millisecond
)

// reach waits until requests can be served, or returns why they can't.
func (h *handlers) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := h.ready(ctx)
		if err == nil || pause.For(ctx, lookEvery) != nil {
			return err
		}
	}
}

// checkMediaType refuses what a form of another web site can make a browser
// send along with the credentials it keeps.
func checkMediaType(header string) error {
	if header == "" {
		return nil
	}
	if media, _, err := mime.ParseMediaType(header); err != nil || media != "application/json" {
		return fmt.Errorf("header Content-Type is %q, want application/json", header)
	}
	return nil
}

// parameterError is the text of what is wrong with a parameter.
func parameterError(name, text string) string {
	return fmt.Sprintf("parameter %q in query has an error: %s", name, text)
}

// badParameter answers parameters that are missing, repeated or of another type.
func badParameter(w http.ResponseWriter, _ *http.Request, err error) {
	var required *api.RequiredParamError
	var format *api.InvalidParamFormatError
	switch {
	case errors.As(err, &required):
		refuse(w, http.StatusBadRequest, parameterError(required.ParamName, missing))
	case errors.As(err, &format):
		refuse(w, http.StatusBadRequest, parameterError(format.ParamName, format.Err.Error()))
	default:
		refuse(w, http.StatusBadRequest, err.Error())
	}
}
