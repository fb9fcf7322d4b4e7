package canary

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// Watch makes http.DefaultTransport plant what requests and answers of the API show, for the tests
// of a whole process.
func Watch() {
	if dir() != "" {
		http.DefaultTransport = transport{http.DefaultTransport}
	}
}

type transport struct{ next http.RoundTripper }

// maxBody is the size in bytes of the longest answer that is looked at.
const maxBody = 1 << 20

// RoundTrip sends a request.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil || resp.ContentLength > maxBody || strings.Contains(resp.Header.Get("Content-Type"), "octet-stream") {
		return resp, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	Exchange(r, resp.StatusCode, resp.Header, text)
	rest := resp.Body
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), failing{err}, rest), rest}
	return resp, nil
}

// failing is a reader that fails, or ends if there is no error.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}
