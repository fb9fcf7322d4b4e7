package server

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/redact"
)

const requestIDHeader = "X-Request-Id"

// requestID returns the ID that identify put into the header of an answer.
func requestID(w http.ResponseWriter) string { return w.Header().Get(requestIDHeader) }

// identify gives every request the ID that its client sent, or a new one.
func identify(newID func() string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !validRequestID(id) {
			id = newID()
		}
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r)
	})
}

// hstsAge is how many seconds browsers remember that the server is reached by HTTPS: a year.
const hstsAge = "31536000"

// guarded has browsers treat answers as data that is for one user alone. A handler may set other
// headers. https says that clients reach the server by HTTPS, whatever its own connections are.
func guarded(https bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if https || r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age="+hstsAge)
		}
		next.ServeHTTP(w, r)
	})
}

// validRequestID reports whether an ID is safe to log.
func validRequestID(id string) bool {
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:"
	return id != "" && len(id) <= 128 && strings.Trim(id, allowed) == ""
}

// statusWriter remembers the status code of an answer, which is 0 until it is written, and what
// is noted of the request.
type statusWriter struct {
	http.ResponseWriter
	code int
	note note
}

func (w *statusWriter) WriteHeader(code int) {
	w.code = cmp.Or(w.code, code)
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.code = cmp.Or(w.code, http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// observer logs and measures requests, and records them in the audit log.
type observer struct {
	log      *slog.Logger
	audit    auditor
	now      func() time.Time
	requests *prometheus.CounterVec   // by api and code
	duration *prometheus.HistogramVec // by api
	inFlight prometheus.Gauge
	lines    *rates // of the log, about requests that prove no user, by address
}

func newObserver(c Config) *observer {
	f, apis := metric.With(c.Registerer).In("http"), metric.By("api", apiImports, apiRepositories, apiAuth, apiHealth, apiOther)
	return &observer{
		log:      c.Log,
		audit:    auditor{c.Audit, c.Now, c.Proxies},
		lines:    newRates(limits.FailedLogins, limits.FailedLoginsBurst, c.Now),
		now:      c.Now,
		requests: f.CounterVec("requests_total", "Requests that were answered, by the part of the API and the class of the answer's status.", apis, metric.By("code")),
		duration: f.HistogramVec("request_duration_seconds", "Time from a request's header to its answer, by the part of the API.", metric.Buckets(0.005, 5), apis),
		inFlight: f.Gauge("requests_in_flight", "Requests that are being served."),
	}
}

// observe passes on its request, not a copy: the mux stores the pattern that it matched in
// the request that it is given. A panic becomes an answer here, so that it is measured
// and logged like any other.
func (o *observer) observe(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := o.now()
		o.inFlight.Inc()
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			o.inFlight.Dec()
			o.record(sw, r, o.now().Sub(start))
		}()
		defer o.recover(sw, r)
		mux.ServeHTTP(sw, r)
	})
}

func (o *observer) recover(w *statusWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) { // not a bug: the answer cannot be completed
		panic(v)
	}
	o.log.ErrorContext(r.Context(), "panic while serving a request", "request_id", requestID(w),
		"route", route(r), "panic", v, "stack", string(debug.Stack()))
	if w.code != 0 {
		panic(http.ErrAbortHandler) // an answer was begun: cut it off
	}
	refuse(w, http.StatusInternalServerError, "internal server error (request "+requestID(w)+")")
}

func (o *observer) record(w *statusWriter, r *http.Request, took time.Duration) {
	code := cmp.Or(w.code, http.StatusOK) // as net/http does
	o.audit.observe(w, r, code)
	part := apiOf(route(r))
	o.requests.WithLabelValues(part, codeClass(code)).Inc()
	o.duration.WithLabelValues(part).Observe(took.Seconds())
	level := slog.LevelInfo
	if r.Method == http.MethodGet && code < http.StatusBadRequest || code == http.StatusTooManyRequests || strings.HasPrefix(route(r), "/_") {
		level = slog.LevelDebug // clients that watch an import or a process send one every second, and floods shall not fill the disk
	}
	if level == slog.LevelInfo && w.note.caller.User == "" && !o.lines.take(network(o.audit.proxies.client(r))) {
		level = slog.LevelDebug
	}
	if !o.log.Enabled(r.Context(), level) {
		return
	}
	o.log.Log(r.Context(), level, "request", "request_id", requestID(w), "client", clientOf(o.audit.proxies, r), "user", shownUser(w.note.caller.User),
		"method", method(r), "route", route(r), "code", code, "duration_seconds", took.Seconds())
}

// clientOf returns the address of a client, "" if there is none.
func clientOf(proxies Proxies, r *http.Request) string {
	if from := proxies.client(r); from.IsValid() {
		return from.String()
	}
	return ""
}

// mostUser bounds the bytes of a user that a line of the log has.
const mostUser = 128

// shownUser returns a user for the log, shortened and without characters that are not printable.
func shownUser(user string) string {
	if len(user) > mostUser {
		user = strings.ToValidUTF8(user[:mostUser], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, redact.URLs(user))
}

// Parts of the API, as metrics have them. The routes would be too many series: the log has them.
const (
	apiImports      = "imports"
	apiRepositories = "repositories" // with branches, tags, commits, refs and objects
	apiAuth         = "auth"         // logins, users and permissions
	apiHealth       = "health"       // with metrics
	apiOther        = "other"
)

// apiOf returns the part of the API that a route belongs to.
func apiOf(route string) string {
	below, isAPI := strings.CutPrefix(route, api.BaseURL)
	switch {
	case strings.HasPrefix(route, "/_") || route == "/metrics":
		return apiHealth
	case isAPI && (strings.HasSuffix(below, "/import") || strings.HasPrefix(below, "/imports")):
		return apiImports
	case isAPI && strings.HasPrefix(below, "/repositories"):
		return apiRepositories
	case isAPI && (strings.HasPrefix(below, "/auth") || strings.HasPrefix(below, "/user") || strings.HasPrefix(below, "/oidc")), strings.HasPrefix(route, "/oidc"), strings.HasPrefix(route, "/sso"):
		return apiAuth
	}
	return apiOther
}

// codeClass returns the class of an HTTP status, as a label with few values. 429 is a class of its
// own: what is refused so is to be tried again.
func codeClass(code int) string {
	switch {
	case code == http.StatusTooManyRequests:
		return "429"
	case code < 300:
		return "2xx"
	case code < 500:
		return strconv.Itoa(code/100) + "xx"
	}
	return "5xx" // or what no server should answer
}

// method returns the method of a request, as a label with few values.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// route returns the path of the pattern that a request matched.
func route(r *http.Request) string {
	_, path, ok := strings.Cut(r.Pattern, " ")
	if !ok {
		path = r.Pattern
	}
	if path == "" || path == "/" {
		return "other"
	}
	return path
}

// wellFormed refuses paths and queries that net/url would change or drop.
func wellFormed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !utf8.ValidString(r.URL.Path) {
			refuse(w, http.StatusBadRequest, "path has an error: not valid UTF-8")
			return
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			refuse(w, http.StatusBadRequest, "query has an error: "+err.Error())
			return
		}
		for name, values := range query {
			for _, v := range values {
				if err := limits.Bytes("", v, longestValue(r.URL.Path)); err != nil {
					refuse(w, http.StatusBadRequest, parameterError(shorten(name), err.Error()))
					return
				}
			}
			if !utf8.ValidString(name) || !utf8.ValidString(strings.Join(values, "")) {
				refuse(w, http.StatusBadRequest, parameterError(shorten(name), "not valid UTF-8"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// shorten cuts a name that a client chose, for error messages.
func shorten(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "..."
}
