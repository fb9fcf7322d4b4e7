package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// retryAfter is how long clients wait after an error of the service, in
// seconds. Clients of lakeFS give up after about five tries.
const retryAfter = "3"

// answer writes v as JSON.
func answer(w http.ResponseWriter, code int, v any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // the answer is never HTML: keys stay readable
	if err := enc.Encode(v); err != nil {
		panic(err) // a type of package api that is no JSON is a bug
	}
	w.Header().Set("Content-Type", "application/json") // exactly: clients compare the whole value
	w.WriteHeader(code)
	_, _ = w.Write(buf.Bytes()) // a client that has gone needs no answer
}

// refuse answers why a request is not served.
func refuse(w http.ResponseWriter, code int, message string) {
	answer(w, code, api.Error{Message: message})
}

// tooMany answers that a request is not served, because there are too many, and
// after how long it is worth another try.
func tooMany(w http.ResponseWriter, after time.Duration, message string) {
	w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	refuse(w, http.StatusTooManyRequests, message)
}

// codes is the status code of each kind of fault.
var codes = map[fault.Kind]int{
	fault.Invalid:  http.StatusBadRequest,
	fault.NotFound: http.StatusNotFound,
	fault.Conflict: http.StatusConflict,
	fault.Later:    http.StatusServiceUnavailable,
	fault.Busy:     http.StatusTooManyRequests,
	fault.Broken:   http.StatusInternalServerError,
}

// fail answers an error. A fault is told to the caller; of any other error the
// caller learns only that it may try again, whether anything can be served at all,
// and under which ID it was logged.
func (h *handlers) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.failBecause(w, r, err, "service unavailable")
}

// failBecause is fail with words for an error that is no fault.
func (h *handlers) failBecause(w http.ResponseWriter, r *http.Request, err error, why string) {
	var f *fault.Fault
	if errors.As(err, &f) && codes[f.Kind] != 0 {
		if f.Kind == fault.Later || f.Kind == fault.Busy {
			w.Header().Set("Retry-After", retryAfter)
		}
		refuse(w, codes[f.Kind], f.Error())
		return
	}
	level := slog.LevelError
	if r.Context().Err() != nil && errors.Is(err, r.Context().Err()) {
		level = slog.LevelInfo // the client has gone, or was too slow
	}
	h.log.Log(r.Context(), level, "request ended by an error",
		"request_id", requestID(r), "route", route(r), "err", err)
	w.Header().Set("Retry-After", retryAfter)
	if out := h.ready(r.Context()); out != nil {
		why = out.Error()
	} else if errors.Is(err, queue.ErrSilent) { // of one stream, or just now
		why = queue.ErrSilent.Error()
	}
	refuse(w, http.StatusServiceUnavailable, why+", try again (request "+requestID(r)+")")
}
