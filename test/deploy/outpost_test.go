package deploy_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// Of the NATS account of an outpost.
const (
	outpostRoom = 2 << 20              // bytes on disk
	outpostFill = outpostRoom * 9 / 10 // bytes that others store there
	outpostEnds = 3 * 24 * time.Hour   // until its credentials end
)

// startOutpost starts a fleet of one coordinator: its NATS account has little room, which others fill,
// its credentials end soon, and nothing listens where its lakeFS server should be. It returns the address
// of its metrics.
func startOutpost(t *testing.T, program string) (address string) {
	t.Helper()
	server, creds := queuetest.StartOperated(t, outpostRoom, time.Now().Add(outpostEnds).Unix())
	url := server.ClientURL()
	address = freeAddress(t)
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "RANGEFLEET_FLEET=outpost", "RANGEFLEET_LISTEN=" + address, "RANGEFLEET_WORKERS=0",
		"RANGEFLEET_NATS_URL=" + url, "RANGEFLEET_NATS_CREDS_FILE=" + creds,
		"RANGEFLEET_CATALOG_KIND=lakefs", "RANGEFLEET_LAKEFS_URL=http://" + freeAddress(t), "RANGEFLEET_SOURCES_ALLOW=s3://lake/",
		"RANGEFLEET_LAKEFS_ACCESS_KEY_ID=outpost", "RANGEFLEET_LAKEFS_SECRET_ACCESS_KEY=outpost-secret",
	}
	start(t, func() *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = env
		return cmd
	})
	serves(t, "the outpost's metrics", "http://"+address+"/metrics")
	fill(t, url, creds)
	if code := askOutpost(t.Context(), address); code != http.StatusServiceUnavailable {
		t.Errorf("without lakeFS a login is answered %d", code)
	}
	return address
}

// askOutpost asks an outpost for what it has to ask lakeFS about. It returns the status, 0 if there is none.
func askOutpost(ctx context.Context, address string) (status int) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/repositories/r/branches/main/import?id=i", nil)
	if err != nil {
		return 0
	}
	req.SetBasicAuth("anybody", "whose key only lakeFS knows")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// fill stores what does not belong to the fleet in its account.
func fill(t *testing.T, url, creds string) {
	t.Helper()
	conn, err := nats.Connect(url, nats.UserCredentials(creds))
	expect.NoError(t, err)
	defer conn.Close()
	js, err := conn.JetStream()
	expect.NoError(t, err)
	_, err = js.AddStream(&nats.StreamConfig{Name: "OTHERS", Subjects: []string{"others"}, Storage: nats.FileStorage})
	expect.NoError(t, err)
	for range 4 {
		_, err = js.Publish("others", make([]byte, outpostFill/4))
		expect.NoError(t, err)
	}
}
