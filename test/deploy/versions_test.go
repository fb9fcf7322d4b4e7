package deploy_test

import (
	"regexp"
	"strings"
	"testing"
)

// required returns the version that follows a word in go.mod.
func required(t *testing.T, word string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(word) + ` v?(\S+)`).FindSubmatch(read(t, "../go.mod"))
	if found == nil {
		t.Fatalf("go.mod has no %s", word)
	}
	return string(found[1])
}

// Images of other projects have fixed versions. NATS has the version that is embedded and
// tested, wherever it is named.
func TestVersions(t *testing.T) {
	images := map[string]string{}
	project, err := compose("ACCESS_KEY_ID=me", "SECRET_ACCESS_KEY=s3cr3t", "NATS_PASSWORD=n4ts", "NATS_WORKER_PASSWORD=w0rk")
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range project.Services {
		images["service "+name] = s.Image
	}
	m, err := parse(build(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range m.workloads {
		images["workload "+name] = w.container().Image
	}
	nats, exact := required(t, "github.com/nats-io/nats-server/v2"), regexp.MustCompile(`:v?\d+\.\d+\.\d+$`)
	for of, image := range images {
		switch name, version, _ := strings.Cut(image, ":"); {
		case strings.HasSuffix(name, "rangefleet"): // built from this repository
		case name == "nats" && version != nats:
			t.Errorf("%s has NATS %s; %s is embedded and tested", of, version, nats)
		case !exact.MatchString(image):
			t.Errorf("%s has the image %s, want one with a fixed version", of, image)
		}
	}
	for _, at := range regexp.MustCompile(`nats-server/v2@v(\S+)`).FindAllSubmatch(read(t, "../README.md"), -1) {
		if string(at[1]) != nats {
			t.Errorf("README.md installs NATS %s; %s is embedded and tested", at[1], nats)
		}
	}
	minor := strings.Join(strings.Split(required(t, "go"), ".")[:2], ".")
	if !regexp.MustCompile(`(?m)^ARG GO_VERSION=` + regexp.QuoteMeta(minor) + `\.\d+$`).Match(read(t, "Dockerfile")) {
		t.Errorf("the Dockerfile does not build with Go %s", minor)
	}
}
