package deploy_test

import (
	"regexp"
	"strings"
	"testing"
)

// required returns the version that go.mod names behind a word.
func required(t *testing.T, word string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(word) + ` v?(\S+)`).FindSubmatch(read(t, "../go.mod"))
	if found == nil {
		t.Fatalf("go.mod has no %s", word)
	}
	return string(found[1])
}

// What others made is of one version, and that is the one that was tested: of NATS the
// one that is embedded, wherever it is named.
func TestVersions(t *testing.T) {
	images := map[string]string{}
	project, err := compose("ACCESS_KEY_ID=me", "SECRET_ACCESS_KEY=s3cr3t")
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
		case strings.HasSuffix(name, "rangefleet"): // made here
		case name == "nats" && version != nats:
			t.Errorf("%s has NATS %s; %s is embedded and tested", of, version, nats)
		case !exact.MatchString(image):
			t.Errorf("%s has the image %s, whatever that is", of, image)
		}
	}
	for _, at := range regexp.MustCompile(`nats-server/v2@v(\S+)`).FindAllSubmatch(read(t, "../README.md"), -1) {
		if string(at[1]) != nats {
			t.Errorf("README.md installs NATS %s; %s is embedded and tested", at[1], nats)
		}
	}
	minor := strings.Join(strings.Split(required(t, "go"), ".")[:2], ".")
	if !regexp.MustCompile(`(?m)^ARG GO_VERSION=` + regexp.QuoteMeta(minor) + `\.\d+$`).Match(read(t, "Dockerfile")) {
		t.Errorf("the Dockerfile does not build with a Go %s", minor)
	}
}
