package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

const contents = "/api/v1/repositories/lake/refs/main/objects?path="

// holding returns a server of a tree whose objects have contents, by key.
func holding(t *testing.T, objects map[string][]byte) *fixture {
	t.Helper()
	f := newFixture(t)
	var entries []entry.Entry
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		entries = append(entries, entry.Entry{Key: key, Address: "s3://src/" + key, ETag: "e-1", Size: int64(len(objects[key])), ModTime: created})
	}
	f.service.tree = treeWith(t, entries...)
	f.service.content = func(_ context.Context, key string, from, to int64) ([]byte, error) { return objects[key][from:to], nil }
	return f
}

// before has a server call a function before it reads a part.
func (f *fixture) before(do func(ctx context.Context, from int64) error) {
	read := f.service.content
	f.service.content = func(ctx context.Context, key string, from, to int64) ([]byte, error) {
		if err := do(ctx, from); err != nil {
			return nil, err
		}
		return read(ctx, key, from, to)
	}
}

func TestRangesOfAnObject(t *testing.T) {
	f := holding(t, map[string][]byte{"o": []byte("0123456789"), "empty": nil})
	const all = "0123456789"
	for _, tc := range []struct {
		key, header string
		code        int
		body, says  string // Content-Range
	}{
		{"o", "", 200, all, ""},
		{"o", "bytes=0-", 206, all, "bytes 0-9/10"},
		{"o", "bytes=0-9", 206, all, "bytes 0-9/10"},
		{"o", "bytes=0-99", 206, all, "bytes 0-9/10"},
		{"o", "bytes=0-9223372036854775807", 206, all, "bytes 0-9/10"},
		{"o", "bytes=2-2", 206, "2", "bytes 2-2/10"},
		{"o", "bytes= 2 - 4 ", 206, "234", "bytes 2-4/10"},
		{"o", "bytes=9-", 206, "9", "bytes 9-9/10"},
		{"o", "bytes=-3", 206, "789", "bytes 7-9/10"},
		{"o", "bytes=-30", 206, all, "bytes 0-9/10"},
		{"o", "bytes=-0", 416, "", "bytes */10"},
		{"o", "bytes=10-", 416, "", "bytes */10"},
		{"o", "bytes=4-2", 416, "", "bytes */10"},
		{"o", "bytes=1-2,4-5", 416, "", "bytes */10"},
		{"o", "bytes=-", 416, "", "bytes */10"},
		{"o", "bytes=x-", 416, "", "bytes */10"},
		{"o", "bytes=1-+2", 416, "", "bytes */10"},
		{"o", "bytes=1", 416, "", "bytes */10"},
		{"o", "lines=1-2", 416, "", "bytes */10"},
		{"o", "bytes=99999999999999999999-", 416, "", "bytes */10"},
		{"empty", "", 200, "", ""},
		{"empty", "bytes=0-", 416, "", "bytes */0"},
		{"empty", "bytes=-1", 416, "", "bytes */0"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := f.do(method, contents+tc.key, "", http.Header{"Range": {tc.header}})
			if w.Code != tc.code || w.Header().Get("Content-Range") != tc.says {
				t.Errorf("%s %s of %s: %d, Content-Range %q, want %d, %q", method, tc.header, tc.key, w.Code, w.Header().Get("Content-Range"), tc.code, tc.says)
			}
			switch got := w.Body.String(); {
			case tc.code == 416:
				if got != `{"message":"Requested Range Not Satisfiable"}`+"\n" {
					t.Errorf("%s %s: body %q", method, tc.header, got)
				}
			case w.Header().Get("Content-Length") != fmt.Sprint(len(tc.body)) || method == "GET" && got != tc.body || method == "HEAD" && got != "":
				t.Errorf("%s %s: Content-Length %s, body %q, want %q", method, tc.header, w.Header().Get("Content-Length"), got, tc.body)
			}
		}
	}
}

func TestHeaderOfAnObject(t *testing.T) {
	f := holding(t, map[string][]byte{"o": []byte("0123456789")})
	const tag = `"e-1"`
	for _, method := range []string{"GET", "HEAD"} {
		h := f.do(method, contents+"o", "", nil).Header()
		for name, want := range map[string]string{
			"ETag": tag, "Last-Modified": "Wed, 04 Mar 2026 05:06:07 GMT", "Content-Type": "application/octet-stream",
			"Content-Disposition": "", "Accept-Ranges": "bytes", "Cache-Control": "no-store, must-revalidate", "X-Content-Type-Options": "nosniff",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", method, name, h.Get(name), want)
			}
		}
	}
	for _, tc := range []struct {
		header http.Header
		code   int
	}{
		{http.Header{"If-None-Match": {tag}}, 304},
		{http.Header{"If-None-Match": {`"x", W/` + tag}}, 304},
		{http.Header{"If-None-Match": {"*"}}, 304},
		{http.Header{"If-None-Match": {`"x"`}}, 200},
		{http.Header{"If-None-Match": {strings.Trim(tag, `"`)}}, 200},
		{http.Header{"If-Range": {tag}, "Range": {"bytes=1-2"}}, 206},
		{http.Header{"If-Range": {`"x"`}, "Range": {"bytes=1-2"}}, 200},
	} {
		if w := f.do("GET", contents+"o", "", tc.header); w.Code != tc.code || tc.code == 304 && (w.Body.Len() != 0 || w.Header().Get("ETag") != tag) {
			t.Errorf("with %v: %d, ETag %s", tc.header, w.Code, w.Header().Get("ETag"))
		}
	}
}

func TestObjectsThatCannotBeRead(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(f *fixture)
		target  string
		get     int
		message string
		head    int
	}{
		{"no such object", nil, contents + "x", 404, `{"message":"object not found"}`, 404},
		{"no such ref", nil, strings.Replace(contents, "main", "x", 1) + "o", 404, `{"message":"ref not found"}`, 404},
		{"no path", nil, strings.TrimSuffix(contents, "?path="), 400, `{"message":"parameter \"path\" in query has an error: value is required but missing"}`, 400},
		{"signed", nil, contents + "o&presign=true", 400, `{"message":"parameter \"presign\" in query has an error: true is not supported: this server signs no URLs"}`, 200},
		{"not allowed", func(f *fixture) { f.service.content = nil }, contents + "o", 403, `{"message":"not allowed"}`, 200},
		{"gone", func(f *fixture) {
			f.before(func(context.Context, int64) error { return fault.Vanished("No data") })
		}, contents + "o", 410, `{"message":"No data"}`, 200},
		{"the store is away", func(f *fixture) {
			f.before(func(context.Context, int64) error { return errors.New("no route to host") })
		}, contents + "o", 503, `{"message":"service unavailable, try again (request fresh-id)"}`, 200},
	} {
		f := holding(t, map[string][]byte{"o": []byte("x")})
		if tc.change != nil {
			tc.change(f)
		}
		exchange{tc.name, "GET", tc.target, "", nil, tc.get, tc.message}.run(t, f)
		if w := f.do("HEAD", tc.target, "", nil); w.Code != tc.head {
			t.Errorf("HEAD, %s: %d, want %d", tc.name, w.Code, tc.head)
		}
	}
}

// get asks a server on a socket for an object.
func get(t *testing.T, address, key string) (*http.Response, []byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+contents+key, nil)
	expect.NoError(t, err)
	r.SetBasicAuth(testKey, testSecret)
	got, err := http.DefaultClient.Do(r)
	expect.NoError(t, err)
	defer got.Body.Close()
	data, err := io.ReadAll(got.Body)
	return got, data, err
}

// An object of several parts is answered whole, or the answer is cut off.
func TestLargeObjectsAreWholeOrCutOff(t *testing.T) {
	large := make([]byte, 2*limits.ContentPart+1)
	rnd := seeded.Rand(t)
	for i := range large {
		large[i] = byte(rnd.Uint32())
	}
	f := holding(t, map[string][]byte{"o": large})
	address := listening(t, f, prometheus.NewRegistry(), 8)
	if got, data, err := get(t, address, "o"); err != nil || got.StatusCode != http.StatusOK || !bytes.Equal(data, large) {
		t.Fatalf("%d, %d bytes, %v", got.StatusCode, len(data), err)
	}
	f.before(func(_ context.Context, from int64) error {
		if from == 2*limits.ContentPart {
			return fault.Vanished("another object")
		}
		return nil
	})
	got, data, err := get(t, address, "o")
	if !errors.Is(err, io.ErrUnexpectedEOF) || got.StatusCode != http.StatusOK || int64(len(data)) >= got.ContentLength {
		t.Errorf("%d, %d of %d bytes, %v: want an answer that is cut off", got.StatusCode, len(data), got.ContentLength, err)
	}
	expect.Eventually(t, "the end of the answer is logged, and not as a bug", func() bool {
		log := f.log.String()
		return strings.Contains(log, "answer cut off") && !strings.Contains(log, "panic")
	})
}

// The deadlines of the server are for a part, not for the whole object.
func TestTransfersOutlastTheDeadlinesOfTheServer(t *testing.T) {
	f := holding(t, map[string][]byte{"o": make([]byte, 3*limits.ContentPart)})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	const deadline = 100 * time.Millisecond
	s := NewHTTPServer(f, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	s.http.ReadTimeout, s.http.WriteTimeout = deadline, deadline
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); serving.Wait() })
	f.before(func(ctx context.Context, _ int64) error { return pause.For(ctx, deadline) })
	if got, data, err := get(t, l.Addr().String(), "o"); err != nil || got.StatusCode != http.StatusOK || len(data) != 3*limits.ContentPart {
		t.Errorf("%d, %d bytes, %v", got.StatusCode, len(data), err)
	}
}

// Only so many objects are read at a time. Further clients are told to try again.
func TestTransfersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := holding(t, map[string][]byte{"o": []byte("x")})
		open := make(chan struct{})
		f.before(func(context.Context, int64) error { <-open; return nil })
		var running sync.WaitGroup
		for range limits.Transfers {
			running.Go(func() {
				if w := f.do("GET", contents+"o", "", nil); w.Code != 200 {
					t.Errorf("code %d", w.Code)
				}
			})
			synctest.Wait()
		}
		if w := f.do("GET", contents+"o", "", nil); w.Code != 429 || w.Header().Get("Retry-After") == "" {
			t.Errorf("one too many: %d", w.Code)
		}
		if w := f.do("HEAD", contents+"o", "", nil); w.Code != 200 {
			t.Errorf("HEAD: %d", w.Code)
		}
		close(open)
		running.Wait()
		if w := f.do("GET", contents+"o", "", nil); w.Code != 200 {
			t.Errorf("afterwards: %d", w.Code)
		}
	})
}
