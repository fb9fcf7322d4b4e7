package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

// slowBody is a body that does not arrive before let is closed.
type slowBody struct {
	io.Reader
	asked chan<- struct{}
	let   <-chan struct{}
}

func (b slowBody) Read(p []byte) (int, error) {
	b.asked <- struct{}{}
	<-b.let
	return b.Reader.Read(p)
}

// While a body that may become large is read, small requests are answered. Large ones wait,
// and are refused with Retry-After if that takes too long.
func TestLargeBodiesTakeTurns(t *testing.T) {
	const path = "/api/v1/repositories/lake/branches/metaranges"
	for name, tc := range map[string]struct {
		wait time.Duration
		code int
	}{
		"soon":     {time.Second, http.StatusCreated},
		"not soon": {time.Hour, http.StatusTooManyRequests},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, func(c *Config) { c.Now = time.Now })
				asked, let := make(chan struct{}, 10), make(chan struct{})
				var first sync.WaitGroup
				first.Go(func() {
					r, err := http.NewRequest(http.MethodPost, path, slowBody{strings.NewReader(`{"ranges":[]}`), asked, let})
					if err != nil {
						t.Error(err)
						return
					}
					r.ContentLength = -1 // its length is unknown
					r.SetBasicAuth(testKey, testSecret)
					f.ServeHTTP(newUnread(), r)
				})
				<-asked
				time.AfterFunc(tc.wait, func() { close(let) })
				begun := time.Now()
				exchange{"small", "POST", path, `{"ranges":[]}`, nil, 201, `{"id":"` + strings.Repeat("ab", 32) + `"}`}.run(t, f)
				exchange{"status", "GET", importPath + "?id=x", "", nil, 404, `{"message":"not found"}`}.run(t, f)
				if took := time.Since(begun); took != 0 {
					t.Errorf("small requests waited for %v", took)
				}
				large := `{"x":"` + strings.Repeat("x", limits.RangesBody/2) + `","ranges":[]}`
				w := f.do("POST", path, large, nil)
				if took := time.Since(begun); w.Code != tc.code || took != min(tc.wait, maxWait) {
					t.Errorf("a large one: %d %s after %v, want %d", w.Code, w.Body, took, tc.code)
				}
				if (w.Header().Get("Retry-After") == "1") != (w.Code == http.StatusTooManyRequests) {
					t.Errorf("%d with %v", w.Code, w.Header())
				}
				first.Wait()
				exchange{"large, later", "POST", path, large, nil, 201, `{"id":"` + strings.Repeat("ab", 32) + `"}`}.run(t, f)
			})
		})
	}
}

// Small requests do not wait behind a large one that waits for others. Else a steady flow of
// large requests would hold up all small ones.
func TestSmallRequestsPassLargeOnesThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(limits.RequestMemory, func(int) {})
		for range 2 {
			release, err := b.take(t.Context(), forRange)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := b.take(t.Context(), forRange); !errors.Is(err, errBusy) {
				t.Errorf("a third large one: %v", err)
			}
		})
		synctest.Wait()
		begun := time.Now()
		for _, n := range []int64{0, limits.Results * perResult} {
			release, err := b.take(t.Context(), n)
			if took := time.Since(begun); err != nil || took > 0 {
				t.Fatalf("one of %d bytes: %v after %v", n, err, took)
			}
			release()
		}
		waiting.Wait()
	})
}

// Reservations are released, however requests end.
func TestReservationsAreReleased(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Service = panicking{} })
	for range 3 * limits.RequestMemory / (limits.Results * perResult) {
		f.do("GET", "/api/v1/repositories/lake/refs/main/objects/ls?amount=1000", "", nil)
		f.do("POST", importPath, "{", nil)
		f.do("POST", "/api/v1/repositories/lake/branches/metaranges", `{"ranges":[{}]}`, nil)
	}
	// The whole budget is free for a request that needs it all.
	f.service.err = nil
	w := f.do("POST", "/api/v1/repositories/pond/branches/ranges", bodies["ingestRange"], nil)
	if w.Code == http.StatusTooManyRequests {
		t.Errorf("something is still reserved: %d %s", w.Code, w.Body)
	}
	h := newBudget(10, func(int) {})
	release, err := h.take(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if release, err = h.take(t.Context(), 10); err != nil {
		t.Fatalf("a reservation of more than everything was not released in full: %v", err)
	}
	release()
}

// Decoded bodies take no more memory than was estimated for them. Garbage that decoding
// makes does not count: it is collected before the limit is reached.
func TestDecodedBodiesStayWithinTheEstimate(t *testing.T) {
	for name, tc := range map[string]struct {
		body    func() []byte
		perByte int64
		read    func([]byte) (any, error)
	}{
		"metadata": {manyNames, perByte, readAnImport},
		"paths":    {manyPaths, perByte, readAnImport},
		"ranges":   {manyRanges, perRangeByte, func(b []byte) (any, error) { return readRanges(bytes.NewReader(b)) }},
	} {
		body := tc.body()
		before := live()
		v, err := tc.read(body)
		became := live() - before
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %d bytes become %d", name, len(body), became)
		if became < int64(len(body))/4 || became > tc.perByte*int64(len(body)) {
			t.Errorf("%s: %d bytes become %d, want at most %d times as much", name, len(body), became, tc.perByte)
		}
		runtime.KeepAlive(body)
		runtime.KeepAlive(v)
	}
}

func readAnImport(body []byte) (any, error) {
	start, _, err := readImport(body)
	return start, err
}

// live returns the bytes of memory that are in use.
func live() int64 {
	var m runtime.MemStats
	for range 2 { // the second one empties pools
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func manyNames() []byte {
	body := []byte(`{"source_uri":"s3://b/","prepend":"","metadata":{`)
	for i := 0; len(body) < limits.Body-30; i++ {
		body = fmt.Appendf(body, `"%x":"",`, i)
	}
	return append(body, `"z":""}}`...)
}

func manyPaths() []byte {
	const path = `{"type":"object","path":"","destination":""}`
	body := []byte(`{"commit":{"message":""},"paths":[` + path)
	for len(body) < limits.Body-len(path)-10 {
		body = append(body, ","+path...)
	}
	return append(body, "]}"...)
}

func manyRanges() []byte {
	body := []byte(`{"ranges":[`)
	for i := range limits.Ranges {
		body = fmt.Appendf(body, `{"id":"%064d","min_key":"a%012d","max_key":"b","count":1,"estimated_size":1},`, i, i)
	}
	return append(body[:len(body)-1], "]}"...)
}
