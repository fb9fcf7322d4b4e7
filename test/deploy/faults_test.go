package deploy_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/otlptest"
)

var (
	ruleFor    = regexp.MustCompile(`(?m)^( +)for: \w+$`)
	ruleWindow = regexp.MustCompile(`\[(10|5|2)m\]`)
)

// hasten returns the rules of deploy/ so that an alert fires after seconds instead of minutes. What they
// compare stays, except for ages.
func hasten(t *testing.T) string {
	t.Helper()
	text := ruleFor.ReplaceAllString(string(read(t, "prometheus/alerts.yml")), "${1}for: 1s")
	text = ruleWindow.ReplaceAllString(strings.ReplaceAll(text, "[10m]", "[20s]"), "[10s]")
	for _, change := range [][2]string{
		{"_age_seconds) > 600", "_age_seconds) > 5"},
		{" ) > 60\n", " ) > 5\n"}, // of the last sign of a worker
		{"offset 1h", "offset 5s"},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("the alerts have no %q", change[0])
		}
		text = strings.ReplaceAll(text, change[0], change[1])
	}
	return text
}

// Every query of the boards returns data for a fleet in which everything happens that the boards show,
// and every alert fires once, by a fault of the kind that it tells of.
func TestBoardsAndAlertsWatchAFleet(t *testing.T) {
	traces := otlptest.Start(t, nil).Environment("grpc")
	c := startCluster(t, traces, flaky...)
	next := built(t, nextImage).program("coordinator")
	odd, address := addOdd(c, next)
	outpost := startOutpost(t, next)
	p := startPrometheus(t, hasten(t), func(name string, port int32) []string {
		all := c.addresses(name, port)
		if name == "coordinator" {
			all = append(all, outpost)
		}
		return all
	}, address)
	c.live(t.Context())
	checkLabels(t, c)
	b := &breaker{t: t, fleet: c, odd: odd, outpost: outpost, watch: p, missed: map[string]bool{}}
	b.run()
	var all []string
	for _, a := range alerts(t).all() {
		all = append(all, a.Alert)
	}
	b.fire(".+", patience, all...)
	checkQueries(t, p)
	if err := c.await(t.Context(), c.client(0), "main", b.mustBegin(largeBucket, 0), 100_000); err != nil { // so that the boards show it
		t.Error(err)
	}
	drawBoards(t, p)
	c.checkMemory()
	c.end()
}

// addOdd adds a coordinator of another version to the fleet that has a certificate that is about to
// expire, and little memory. It also returns where its metrics are.
func addOdd(c *cluster, program string) (odd *pod, address string) {
	c.t.Helper()
	cert, key := certs.New(c.t).Issue("api")
	address = freeAddress(c.t)
	p := start(c.t, func() *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = append(slices.Clone(c.settings),
			"PATH="+os.Getenv("PATH"), "HOME="+c.t.TempDir(), "GOMEMLIMIT=8MiB", "RANGEFLEET_LISTEN="+address, "RANGEFLEET_WORKERS=0",
			"RANGEFLEET_NATS_URL=nats://"+c.pods["nats"][0].addresses[4222], "RANGEFLEET_NATS_USER=rangefleet", "RANGEFLEET_NATS_PASSWORD="+secret["nats_password"],
			"RANGEFLEET_NATS_REPLICAS=3", "RANGEFLEET_HTTP_CERT_FILE="+cert, "RANGEFLEET_HTTP_KEY_FILE="+key,
			"RANGEFLEET_S3_ACCESS_KEY_ID=synthetic", "RANGEFLEET_S3_SECRET_ACCESS_KEY=synthetic",
			"RANGEFLEET_AUTH_ACCESS_KEY_ID="+secret["access_key_id"], "RANGEFLEET_AUTH_SECRET_ACCESS_KEY="+secret["secret_access_key"])
		return cmd
	})
	return &pod{Process: p}, address
}
