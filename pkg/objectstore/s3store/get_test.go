package s3store_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// answering returns a bucket of a server that sends this response to every call.
func answering(t *testing.T, answer http.HandlerFunc) objectstore.Store {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	_, store := start(t, func(c *s3store.Config) { c.Endpoint = server.URL })
	return store
}

// A store may not support ranges. A part must be the requested one.
func TestGetRangeIsWhatWasAskedFor(t *testing.T) {
	const whole = "0123456789"
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   string // "": an error that is not permanent
	}{
		"all of it":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, whole) }, "345"},
		"the part":      {part("bytes 3-5/10", "345"), "345"},
		"another part":  {part("bytes 0-2/10", "012"), ""},
		"a longer part": {part("bytes 3-9/10", "3456789"), ""},
		"a short part":  {part("bytes 3-4/10", "34"), ""},
		"a short body":  {part("bytes 3-5/10", "34"), ""},
		"no numbers":    {part("bytes */10", "345"), ""},
		"text":          {part("some", "345"), ""},
	} {
		got, size, err := answering(t, tc.answer).GetRange(t.Context(), "k", 3, 3)
		switch {
		case tc.want == "" && (err == nil || objectstore.Permanent(err) || !strings.Contains(err.Error(), "s3://bucket/k")):
			t.Errorf("%s: %q of %d, %v, want a transient error that names the object", name, got, size, err)
		case tc.want != "" && (err != nil || string(got) != tc.want || size != 10):
			t.Errorf("%s: %q of %d, %v, want %q of 10", name, got, size, err, tc.want)
		}
	}
}

func part(header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", header)
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, body)
	}
}

// An object of unknown length is read no further than the limit.
func TestGetOfUnknownLengthIsLimited(t *testing.T) {
	written := make(chan int, 1)
	store := answering(t, func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for r.Context().Err() == nil && n < 1<<30 {
			m, _ := fmt.Fprintf(w, "%01000d", 0)
			w.(http.Flusher).Flush()
			n += m
		}
		written <- n
	})
	_, err := store.Get(t.Context(), "k", 10_000)
	if !errors.Is(err, objectstore.ErrTooLarge) || !strings.Contains(err.Error(), "s3://bucket/k") {
		t.Errorf("error %v, want ErrTooLarge that names the object", err)
	}
	if n := <-written; n == 1<<30 {
		t.Errorf("%d bytes were read", n)
	}
}

// A body that was compressed on its way is not the object.
func TestGetOfWhatIsCompressed(t *testing.T) {
	for encoding, refused := range map[string]bool{"gzip": true, "br": true, "": false, "identity": false, "aws-chunked": false} {
		store := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			if encoding != "" {
				w.Header().Set("Content-Encoding", encoding)
			}
			_, _ = io.WriteString(w, "body")
		})
		body, err := store.Get(t.Context(), "k", 10)
		part, _, errRange := store.GetRange(t.Context(), "k", 0, 4)
		for _, err := range []error{err, errRange} {
			if errors.Is(err, objectstore.ErrSettings) != refused || refused && !strings.Contains(err.Error(), `Content-Encoding "`+encoding) {
				t.Errorf("%q: %v, want it refused: %v", encoding, err, refused)
			}
		}
		if !refused && (string(body) != "body" || string(part) != "body") {
			t.Errorf("%q: %q and %q", encoding, body, part)
		}
	}
}
