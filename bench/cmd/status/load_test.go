package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

func TestPollersCountTheirAnswers(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 3000))
	}))
	defer server.Close()
	c, err := gather(t.Context(), server.Listener.Addr().String(), 10, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	expect.NoError(t, err)
	const within = 50 * time.Millisecond
	all, err := c.ask(within)
	expect.NoError(t, err)
	if all.Answered+all.Refused != asked.Load() || all.Answered-all.Refused > 1 || all.Refused > all.Answered || all.Wall < within || all.Longest == 0 {
		t.Errorf("%+v of %d answers", all, asked.Load())
	}
	expect.NoError(t, c.Close())
	if _, err := c.ask(within); err == nil {
		t.Error("closed connections were asked without an error")
	}
}
