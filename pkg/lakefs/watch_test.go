package lakefs_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// line is the way to a server, which a test cuts.
type line struct {
	t     *testing.T
	state atomic.Int32
	asked atomic.Int32 // health checks
}

// States of a line.
const (
	whole int32 = iota
	cut
	silent // requests get no answer
	barred // something in front of the server says that it is away
)

// RoundTrip answers a request.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/api/v1/healthcheck" {
		if l.asked.Add(1); r.Header.Get("Authorization") != "" {
			l.t.Error("a health check tells the login")
		}
	}
	status := http.StatusNoContent
	switch l.state.Load() {
	case cut:
		return nil, errors.New("connection refused")
	case silent:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case barred:
		status = http.StatusBadGateway
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// Whether the server is reachable shows within half a minute though nobody calls. The watch ends with
// its context, also while it waits for an answer, and that does not show as a failure.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, way := prometheus.NewRegistry(), &line{t: t}
		session, err := lakefs.Open(lakefs.Config{URL: "http://lakefs", Transport: way, Registerer: reg}, lakefs.Keys("a", "s"))
		expect.NoError(t, err)
		shows := func(when string, want float64) {
			t.Helper()
			if got := measured.Sum(t, reg, "rangefleet_lakefs_reachable"); got != want {
				t.Errorf("%s: reachable is %v, want %v", when, got, want)
			}
		}
		way.state.Store(cut)
		if _, err := lakefs.ServerFacts(t.Context(), session); err == nil {
			t.Fatal("a server answers that is away")
		}
		shows("after a call that failed", 0)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan struct{})
		go func() { defer close(ended); lakefs.Watch(ctx, session) }()
		for _, step := range []struct {
			when  string
			state int32
			want  float64
		}{
			{"the server is back", whole, 1},
			{"it is away", cut, 0},
			{"it is back again", whole, 1},
			{"it hangs", silent, 0},
			{"it goes on", whole, 1},
			{"a proxy does not reach it", barred, 0},
			{"it does again", whole, 1},
		} {
			way.state.Store(step.state)
			expect.NoError(t, pause.For(t.Context(), 30*time.Second))
			synctest.Wait()
			shows(step.when, step.want)
		}
		if n := way.asked.Load(); n < 7*30/20-1 || n > 7*30/10+1 {
			t.Errorf("%d health checks within %v", n, 7*30*time.Second)
		}
		for _, name := range []string{"rangefleet_lakefs_requests_total", "rangefleet_lakefs_request_duration_seconds"} {
			if n := measured.Sum(t, reg, name); n != 1 {
				t.Errorf("%s has %v calls, want only the one that was made", name, n)
			}
		}
		way.state.Store(silent)
		for before := way.asked.Load(); way.asked.Load() == before; {
			expect.NoError(t, pause.For(t.Context(), time.Second))
		}
		stop()
		<-ended
		shows("the watch ended while it waited", 1)
	})
}
