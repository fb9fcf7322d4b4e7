package memory_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// transfers is the number of requests that a proxy hands to a lakeFS server at a time.
const transfers = 512

// TestTransfersThroughTheProxy makes as many transfers through a coordinator's proxy at a time
// as it allows. Half of them are uploads, and half downloads. All stop in the middle until all
// have come that far.
func TestTransfersThroughTheProxy(t *testing.T) {
	const half = 1 << 20 // bytes of a transfer
	var begun sync.WaitGroup
	begun.Add(transfers)
	pause := func() {
		begun.Done()
		begun.Wait()
	}
	mux := http.NewServeMux() // what else the coordinator asks is not found
	mux.HandleFunc("PUT /object/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, half)
		pause()
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, half+n)
	})
	mux.HandleFunc("GET /object/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, half))
		pause()
		_, _ = w.Write(make([]byte, half))
	})
	lakeFS := httptest.NewServer(mux)
	defer lakeFS.Close()
	dir := t.TempDir()
	p := start(t, dir, "--workers", "1", "--catalog.kind", "lakefs", "--lakefs.url", lakeFS.URL, "--lakefs.proxy",
		"--lakefs.access_key_id", key, "--lakefs.secret_access_key", secret, "--sources.allow", "s3://none/")
	idle := p.peak()
	body := make([]byte, 2*half)
	var clients sync.WaitGroup
	for i := range transfers {
		clients.Go(func() {
			method, sent := http.MethodPut, io.Reader(bytes.NewReader(body))
			if i%2 == 0 {
				method, sent = http.MethodGet, nil
			}
			if code, answer, err := p.send(method, fmt.Sprint("/object/", i), key, sent); err != nil || code != http.StatusOK {
				t.Errorf("%s: %d %.200s, %v", method, code, answer, err)
			}
		})
	}
	clients.Wait()
	t.Logf("%d KiB for each", (p.peak()-idle)>>10/transfers)
	p.checkPeak(limit)
}
