package server

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/audit"
)

// note is what is learned of a request while it is served, for the audit log. Zero fields are
// not known.
type note struct {
	caller      access.Caller   // without a user: what a login that failed showed
	asked       *access.Request // with what the body names
	importID    string          // of the import that is started or canceled
	accessKeyID string          // that is made
	reason      string          // that the answer gives
}

// noted returns the note of the request that w answers.
func noted(w http.ResponseWriter) *note {
	for {
		switch inner := w.(type) {
		case *statusWriter:
			return &inner.note
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return new(note) // nobody observes the request
		}
	}
}

// auditor records requests that change something, those that are refused for who sent them, and
// logins.
type auditor struct {
	record  func(audit.Event)
	now     func() time.Time
	proxies Proxies
}

// observe records a request that was answered with a code.
func (a auditor) observe(w *statusWriter, r *http.Request, code int) {
	operation, known := operationOf(r.Pattern), w.note.caller.User != ""
	outcome := outcomeOf(operation, code)
	done := logins[operation] || known && (changes(r.Method, operation) || operation == audit.OperationBrowserLogin)
	if outcome != audit.Denied && !done || !known && code == http.StatusTooManyRequests { // a flood is counted by metrics alone
		return
	}
	e := audit.Event{
		Time: a.now(), RequestID: requestID(w), Operation: operation,
		User: w.note.caller.User, Credential: audit.CredentialOf(w.note.caller.Credential),
		Resources: w.note.resources(r), Outcome: outcome, Code: code,
	}
	if from := a.proxies.client(r); from.IsValid() {
		e.Client = from.String()
	}
	if outcome != audit.Allowed {
		e.Reason = w.note.reason
	}
	a.record(e)
}

func outcomeOf(operation string, code int) audit.Outcome {
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusBadRequest && operation == audit.OperationBrowserLogin:
		return audit.Denied
	case code >= http.StatusBadRequest:
		return audit.Failed
	}
	return audit.Allowed
}

// resources returns what a request is about. If it was refused before its body was read, that is
// what the path and the query name.
func (n note) resources(r *http.Request) audit.Resources {
	asked := requestOf(r)
	if n.asked != nil {
		asked = *n.asked
	}
	about := audit.ResourcesOf(asked)
	about.Import, about.AccessKeyID = n.importID, cmp.Or(n.accessKeyID, r.PathValue("accessKeyId"))
	return about
}

// logins are the operations that begin and end sessions.
var logins = map[string]bool{"login": true, audit.OperationLogout: true}

// harmless are the operations that change nothing, though their methods may. Trials of sources and
// comparisons are none: they read a source with the fleet's own credentials.
var harmless = []string{"postStatsEvents", audit.OperationOther}

func changes(method, operation string) bool {
	return method != http.MethodGet && method != http.MethodHead && !slices.Contains(harmless, operation)
}

// operationOf returns the name of the operation of a route.
func operationOf(pattern string) string {
	pattern = strings.Replace(pattern, api.BaseURL, "", 1)
	return cmp.Or(operationIDs[pattern], openRoutes[pattern], audit.OperationOther)
}

// openRoutes are the names of the operations that need no credentials, by their routes.
var openRoutes = map[string]string{
	"POST /auth/login": "login",
	"POST /logout":     audit.OperationLogout,

	"GET " + OIDCCallback: audit.OperationBrowserLogin,
	samlAccept:            audit.OperationBrowserLogin,
	"GET " + samlFinish:   audit.OperationBrowserLogin,
}
