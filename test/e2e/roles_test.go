package e2e_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/api"
)

// withRole returns settings by which the awkward source is read with a role.
func withRole(arn string) []string {
	return []string{
		"RANGEFLEET_STS_ENDPOINT=" + ceph.Endpoint,
		fmt.Sprintf("RANGEFLEET_SOURCES_ROLES=[{source: %q, role_arn: %q}]", awkwardSource, arn),
	}
}

// A fleet whose source has a role gives the same metarange as any other. A prefix that holds the
// source is refused.
func TestASourceIsImportedWithItsRole(t *testing.T) {
	objects := awkwardObjects(t)
	want := metarangeOf(t, lines(t, objects, awkwardPrefix, destination), smallBreaks)
	arn, err := ceph.CreateRole(t.Context(), "lake-"+strings.ToLower(rand.Text()))
	expect.NoError(t, err)
	f := newFleet(t, smallBreaks, shape{nats: 1, workers: 2}, withRole(arn)...)
	f.repository("repo", awkwardBucket)
	if status := f.finish("repo", "main", f.begin("repo", "main", awkwardSource, destination)); status.MetarangeID != want {
		t.Errorf("metarange %s, want %s, which lakeFS's packages give", status.MetarangeID, want)
	}
	f.compareListing(objects)
	f.mayNotBegin("s3://"+awkwardBucket+"/lake/", "role of its own")
}

// mayNotBegin checks that an import of a source is refused at once, with words.
func (f *fleet) mayNotBegin(source, words string) {
	f.t.Helper()
	_, err := f.client.StartImport(f.t.Context(), "repo", "main", api.ImportPathsCreation{
		Paths: []api.ImportLocation{{Type: "common_prefix", Path: source, Destination: destination}}, Commit: api.CommitCreation{Message: "m"},
	})
	if statusOf(err) != 400 || !strings.Contains(err.Error(), words) {
		f.t.Errorf("%s: %v, want status 400 and the words %q", source, err, words)
	}
}
