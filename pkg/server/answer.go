package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// retryAfter is how many seconds clients are told to wait after an error of the service.
// Clients of lakeFS give up after about five tries.
const retryAfter = "3"

// plainText is the body of an answer that is not JSON.
type plainText string

// encoded is the body of an answer as JSON, a line.
type encoded []byte

// encode returns v as JSON.
func encode(v any) encoded {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // answers are never HTML, and keys stay readable
	if err := enc.Encode(v); err != nil {
		panic(err) // every type of package api can be encoded
	}
	return buf.Bytes()
}

// answered is the body of an answer that is written already.
type answered struct{}

// answer writes v as JSON, a plainText and encoded as they are, or no body if v is nil.
func answer(w http.ResponseWriter, code int, v any) {
	if v == (answered{}) {
		return
	}
	if v == nil {
		w.WriteHeader(code)
		return
	}
	if text, ok := v.(plainText); ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, string(text))
		return
	}
	text, ok := v.(encoded)
	if !ok {
		text = encode(v)
	}
	w.Header().Set("Content-Type", "application/json") // exactly: clients compare the whole value
	w.WriteHeader(code)
	_, _ = w.Write(text) // an error means that the client has gone
}

// refuse answers a request with an error message.
func refuse(w http.ResponseWriter, code int, message string) {
	noted(w).reason = message
	answer(w, code, api.Error{Message: message})
}

// tooMany answers a request that is not served because there are too many, with the time
// after which to try again.
func tooMany(w http.ResponseWriter, after time.Duration, message string) {
	w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	refuse(w, http.StatusTooManyRequests, message)
}

// codes is the status code of each kind of fault.
var codes = map[fault.Kind]int{
	fault.Invalid:   http.StatusBadRequest,
	fault.NotFound:  http.StatusNotFound,
	fault.Conflict:  http.StatusConflict,
	fault.Later:     http.StatusServiceUnavailable,
	fault.Busy:      http.StatusTooManyRequests,
	fault.Denied:    http.StatusUnauthorized, // as lakeFS answers
	fault.Forbidden: http.StatusForbidden,
	fault.Gone:      http.StatusGone,
	fault.Broken:    http.StatusInternalServerError,
}

// errorWriter answers requests with errors. It is immutable.
type errorWriter struct {
	ready func(ctx context.Context) error
	log   *slog.Logger
}

// unreadable is an error of reading a tree. The answer has its message even if it is no
// fault: the client owns the namespace, and may be able to repair it.
type unreadable struct{ error }

func (u unreadable) Unwrap() error { return u.error }

// fail answers a request with an error. The answer shows a fault or an unreadable tree. Of
// any other error it says only that the client may try again, whether the service is ready,
// and the ID under which the error is logged.
func (e errorWriter) fail(w http.ResponseWriter, r *http.Request, err error) {
	if f, ok := errors.AsType[*fault.Fault](err); ok && codes[f.Kind] != 0 {
		if f.Kind == fault.Later || f.Kind == fault.Busy {
			w.Header().Set("Retry-After", retryAfter)
		}
		refuse(w, codes[f.Kind], f.Error())
		return
	}
	message := "service unavailable"
	if errors.As(err, new(unreadable)) {
		message = err.Error()
		if errors.Is(err, table.ErrCorrupt) { // trying again does not help
			e.log.ErrorContext(r.Context(), "tree has a file that is corrupt", "request_id", requestID(w), "route", route(r), "err", err)
			refuse(w, http.StatusInternalServerError, message)
			return
		}
	}
	level := slog.LevelError
	if r.Context().Err() != nil && errors.Is(err, r.Context().Err()) {
		level = slog.LevelInfo // the client has gone, or was too slow
	}
	e.log.Log(r.Context(), level, "request ended by an error",
		"request_id", requestID(w), "route", route(r), "err", err)
	w.Header().Set("Retry-After", retryAfter)
	if notReady := e.ready(r.Context()); notReady != nil {
		message = notReady.Error()
	} else if errors.Is(err, natsconn.ErrUnresponsive) { // one stream is silent, or all were until now
		message = natsconn.ErrUnresponsive.Error()
	}
	refuse(w, http.StatusServiceUnavailable, message+", try again (request "+requestID(w)+")")
}

func badBody(w http.ResponseWriter, code int, err error) {
	refuse(w, code, "request body has an error: "+err.Error())
}

// missing says that a field or parameter is required.
const missing = "value is required but missing"

// parameterError returns the message for a wrong parameter.
func parameterError(name, text string) string {
	return fmt.Sprintf("parameter %q in query has an error: %s", name, text)
}

// badParameter answers a request with a parameter that is missing, repeated or of another type.
func badParameter(w http.ResponseWriter, _ *http.Request, err error) {
	message := err.Error()
	if e, ok := errors.AsType[*api.RequiredParamError](err); ok {
		message = parameterError(e.ParamName, missing)
	} else if e, ok := errors.AsType[*api.InvalidParamFormatError](err); ok {
		message = parameterError(e.ParamName, e.Err.Error())
	}
	refuse(w, http.StatusBadRequest, message)
}
