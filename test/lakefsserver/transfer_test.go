package lakefsserver_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// moreThanIdle bounds the memory in bytes that a coordinator uses for transfers.
const moreThanIdle = 64 << 20

// TestTransfersThroughTheProxyNeedLittleMemory uploads an object through the proxy and downloads
// it again. TEST_PROXY_MIB is its size.
func TestTransfersThroughTheProxyNeedLittleMemory(t *testing.T) {
	size := int64(256)
	if text, ok := os.LookupEnv("TEST_PROXY_MIB"); ok {
		var err error
		size, err = strconv.ParseInt(text, 10, 64)
		expect.NoError(t, err)
	}
	size <<= 20
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	endpoint, coordinator := runProxy(t, server, ceph.Endpoint, "s3://none/")
	repo := newRepository(t, server, "repo").As(endpoint, lakefstest.Admin)
	repo.Paths(t, "main")                                                                                            // what the first request needs is idle memory, too
	expect.NoError(t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", coordinator.Cmd.Process.Pid), []byte("5"), 0)) // forget the peak
	idle := memory(t, coordinator, "VmRSS")

	sum := sha256.New()
	content := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{}), size), sum)
	transfer(t, http.MethodPost, endpoint+"/api/v1/repositories/repo/branches/main/objects?path=large", content, size, io.Discard)
	sent := hex.EncodeToString(sum.Sum(nil))
	up := memory(t, coordinator, "VmHWM")
	sum.Reset()
	transfer(t, http.MethodGet, endpoint+"/api/v1/repositories/repo/refs/main/objects?path=large", nil, 0, sum)
	if got := hex.EncodeToString(sum.Sum(nil)); got != sent {
		t.Errorf("%s comes back of %s", got, sent)
	}
	down := memory(t, coordinator, "VmHWM")
	t.Logf("%d MiB: idle %d KiB, at most %d KiB after the upload, %d KiB after the download", size>>20, idle>>10, up>>10, down>>10)
	if more := down - idle; more > moreThanIdle {
		t.Errorf("the transfers need %d KiB", more>>10)
	}
}

// transfer makes a request that must succeed, and writes the answer's body to w.
func transfer(t *testing.T, method, url string, content io.Reader, size int64, w io.Writer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, content)
	expect.NoError(t, err)
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/octet-stream")
	req.SetBasicAuth(lakefstest.Admin.AccessKeyID, lakefstest.Admin.SecretAccessKey)
	resp, err := http.DefaultClient.Do(req)
	expect.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	expect.NoError(t, err)
	if resp.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s %s: %s", method, url, resp.Status)
	}
}

// memory returns what the status of a process says of its memory, in bytes.
func memory(t *testing.T, p *process.Process, of string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	expect.NoError(t, err)
	m := regexp.MustCompile(of + `:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("the process has no %s: %s", of, status)
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	expect.NoError(t, err)
	return kib << 10
}
