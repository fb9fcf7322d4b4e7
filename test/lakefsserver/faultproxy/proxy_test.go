package faultproxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/faultproxy"
)

// world is a server that says what it was asked, a proxy before it, and how often the server
// was asked.
type world struct {
	proxy  *faultproxy.Proxy
	served atomic.Int32
}

func newWorld(t *testing.T) *world {
	w := new(world)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.served.Add(1)
		body, _ := io.ReadAll(r.Body)
		rw.Header().Set("Content-Type", "text/plain")
		rw.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(rw, strings.Join([]string{r.Method, r.Host, r.URL.RequestURI(), string(body)}, " "))
	}))
	t.Cleanup(server.Close)
	w.proxy = faultproxy.Start(t, server.URL)
	return w
}

// call makes a call through the proxy. A broken connection is status 0.
func (w *world) call(t *testing.T, method, path, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.proxy.URL+path, strings.NewReader(body))
	expect.NoError(t, err)
	req.Host = "lake.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	expect.NoError(t, err)
	return resp.StatusCode, string(out)
}

func TestCallsPassUnchanged(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/a%2Fb/c%20d//e?x=%2F&y", "/%E2%98%83?"} {
		if status, text := w.call(t, "PUT", path, "body"); status != http.StatusAccepted || text != "PUT lake.example "+path+" body" {
			t.Errorf("%d %s", status, text)
		}
	}
	want := faultproxy.Call{
		Method: "PUT", Path: "/a%2Fb/c%20d//e?x=%2F&y", Body: "body", Passed: true,
		Status: http.StatusAccepted, Answer: "PUT lake.example /a%2Fb/c%20d//e?x=%2F&y body",
	}
	if calls := w.proxy.Calls(faultproxy.Rule{}); len(calls) != 3 || calls[1] != want {
		t.Errorf("recorded %+v", calls)
	}
}

// Each fault, on the second of four calls to a path among others.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		rule   faultproxy.Rule
		status int  // as the client sees it
		passed bool // the server got the call
		lost   bool
	}{
		"lost answer":      {faultproxy.Rule{Lose: true}, 0, true, true},
		"refused":          {faultproxy.Rule{Refuse: true}, 0, false, false},
		"answered instead": {faultproxy.Rule{Status: 500, Message: "branch is currently locked"}, 500, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.rule.Method, c.rule.Path, c.rule.Nth = "POST", regexp.MustCompile("^/merge"), 2
			w.proxy.Add(c.rule)
			var got []int
			for range 4 {
				w.call(t, "GET", "/merge", "")
				w.call(t, "POST", "/other", "")
				status, _ := w.call(t, "POST", "/merge", "x")
				got = append(got, status)
			}
			if !slices.Equal(got, []int{202, c.status, 202, 202}) {
				t.Errorf("the client sees %d", got)
			}
			call := w.proxy.Calls(c.rule)[1]
			if call.Passed != c.passed || call.Lost != c.lost || (call.Answer == "") == (c.rule.Refuse == false) {
				t.Errorf("recorded %+v", call)
			}
			if passed := w.served.Load() == 12; passed != c.passed {
				t.Errorf("the server got %d calls", w.served.Load())
			}
		})
	}
}

func TestHooksRunAroundACall(t *testing.T) {
	w := newWorld(t)
	var seen []int32
	note := func() { seen = append(seen, w.served.Load()) }
	w.proxy.Add(faultproxy.Rule{Path: regexp.MustCompile("/hooked"), Before: note, After: note})
	w.call(t, "POST", "/hooked", "")
	if !slices.Equal(seen, []int32{0, 1}) {
		t.Errorf("the server had got %d calls when the hooks ran", seen)
	}
}

func TestACallIsHeldUntilItIsReleased(t *testing.T) {
	w := newWorld(t)
	hold, reached, release := faultproxy.Hold()
	defer release()
	w.proxy.Add(faultproxy.Rule{Before: hold})
	done := make(chan int)
	go func() {
		status, _ := w.call(t, "POST", "/", "")
		done <- status
	}()
	expect.Received(t, "the call", reached)
	if calls := w.proxy.Calls(faultproxy.Rule{}); len(calls) != 1 || calls[0].Passed || w.served.Load() != 0 {
		t.Errorf("a held call is %+v", calls)
	}
	release()
	if status := expect.Received(t, "the answer", done); status != http.StatusAccepted {
		t.Errorf("status %d", status)
	}
}

func TestTheFirstRuleApplies(t *testing.T) {
	w := newWorld(t)
	w.proxy.Add(faultproxy.Rule{Nth: 2, Status: 429}, faultproxy.Rule{Status: 503})
	var got []int
	for range 3 {
		status, _ := w.call(t, "GET", "/", "")
		got = append(got, status)
	}
	w.proxy.Reset()
	status, _ := w.call(t, "GET", "/", "")
	if got = append(got, status); !slices.Equal(got, []int{503, 429, 503, 202}) {
		t.Errorf("the client sees %d", got)
	}
	if calls := w.proxy.Calls(faultproxy.Rule{}); len(calls) != 1 {
		t.Errorf("after a reset, %d calls are known", len(calls))
	}
}
