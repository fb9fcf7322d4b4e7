package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

const (
	awkwardSource = "s3://" + awkwardBucket + "/" + awkwardPrefix
	destination   = "imported/"
)

// Every fleet gives the same metarange as lakeFS's packages.
func TestAnyFleetGivesOneMetarange(t *testing.T) {
	objects := awkwardObjects(t)
	want := metarangeOf(t, lines(t, objects, awkwardPrefix, destination), smallBreaks)
	for _, tc := range []struct {
		name  string
		shape shape
	}{
		{"one process", shape{}},
		{"1 worker process", shape{nats: 1, workers: 1}},
		{"2 worker processes", shape{nats: 1, workers: 2}},
		{"5 worker processes", shape{nats: 1, workers: 5}},
		{"2 worker processes on the embedded NATS server", shape{workers: 2}},
		{"2 worker processes on a NATS cluster", shape{nats: 3, workers: 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFleet(t, smallBreaks, tc.shape)
			f.repository("repo", awkwardBucket)
			id := f.begin("repo", "main", awkwardSource, destination)
			status := f.finish("repo", "main", id)
			if status.MetarangeID != want {
				t.Errorf("metarange %s, want %s, which lakeFS's packages give", status.MetarangeID, want)
			}
			if status.IngestedObjects != awkwardCount {
				t.Errorf("%d objects ingested, want %d", status.IngestedObjects, awkwardCount)
			}
			f.compareListing(objects)
			again := f.finish("repo", "main", f.begin("repo", "main", awkwardSource, destination))
			if again.MetarangeID != want {
				t.Errorf("the second import gave metarange %s, want %s", again.MetarangeID, want)
			}
		})
	}
}

// compareListing lists main through the API and compares it with the bucket.
func (f *fleet) compareListing(objects []object) {
	f.t.Helper()
	i := 0
	for got, err := range f.client.Objects(f.t.Context(), "repo", "main", client.Page{}) {
		if err != nil {
			f.t.Fatal(err)
		}
		if i == len(objects) {
			f.t.Fatalf("main has %q after all %d objects of the bucket", got.Path, i)
		}
		want := objects[i]
		if got.Path != destination+strings.TrimPrefix(want.Key, awkwardPrefix) || got.PhysicalAddress != want.Address ||
			got.Checksum != want.ETag || got.SizeBytes != want.Size {
			f.t.Fatalf("object %d on main is %+v, in the bucket %+v", i, got, want)
		}
		i++
	}
	if i != len(objects) {
		f.t.Fatalf("main has %d objects, the bucket %d", i, len(objects))
	}
}

func TestCancelLeavesTheBranchAsItWas(t *testing.T) {
	awkwardObjects(t)
	f := newFleet(t, breaks{maxSize: 2 << 10, raggedness: 50}, shape{nats: 1, workers: 1})
	f.repository("repo", awkwardBucket)
	before, err := f.client.Branch(t.Context(), "repo", "main")
	if err != nil {
		t.Fatal(err)
	}
	id := f.begin("repo", "main", awkwardSource, destination)
	for range 2 { // again is no error
		if err := f.client.CancelImport(t.Context(), "repo", "main", id); err != nil {
			t.Fatal(err)
		}
	}
	status := f.status("repo", "main", id)
	if status.Completed || !strings.Contains(status.Error.Message, "Canceled") {
		t.Errorf("status after the cancel: %+v", status)
	}
	// A later import to the same branch completes, and shows that the canceled import does
	// not land after it.
	finished := f.begin("repo", "main", awkwardSource+"a", "other/")
	done := f.finish("repo", "main", finished)
	if got := f.log("repo", "main"); len(got) != 2 || got[0].ID != done.Commit.ID || got[1].ID != before.CommitID {
		t.Errorf("log of main: %+v", got)
	}
	if err := f.client.CancelImport(t.Context(), "repo", "main", finished); statusOf(err) != http.StatusConflict {
		t.Errorf("cancel of a completed import: %v, want status 409", err)
	}
}

// log returns the commits of a branch, newest first.
func (f *fleet) log(repository, branch string) []api.Commit {
	f.t.Helper()
	var commits []api.Commit
	for c, err := range f.client.Log(f.t.Context(), repository, branch, client.Page{}) {
		if err != nil {
			f.t.Fatal(err)
		}
		commits = append(commits, c)
	}
	return commits
}

// statusOf returns the HTTP status of an error of the client, or 0.
func statusOf(err error) int {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// If S3 refuses requests for good, the import fails with S3's message and commits nothing. A
// repository is not created if its namespace cannot be written.
func TestRefusalsOfS3EndTheImport(t *testing.T) {
	awkwardObjects(t)
	for _, tc := range []struct {
		name, source, words string
		settings            []string
	}{
		{"no such bucket", "s3://no-such-bucket-anywhere/x/", "NoSuchBucket", nil},
		{"no such role", awkwardSource, "assume role arn:aws:iam:::role/nobody to read " + awkwardSource, withRole("arn:aws:iam:::role/nobody")},
		{"wrong credentials", awkwardSource, "InvalidAccessKeyId", []string{"RANGEFLEET_S3_ACCESS_KEY_ID=nobody"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			f := newFleet(t, smallBreaks, shape{}, append(tc.settings, "RANGEFLEET_LOCAL_ALLOWED="+dir)...)
			create := func(name, namespace string) error {
				_, err := f.client.CreateRepository(t.Context(), api.RepositoryCreation{Name: name, StorageNamespace: namespace})
				return err
			}
			words := "NoSuchBucket"
			if tc.name == "wrong credentials" {
				words = tc.words
			}
			if err := create("away", "s3://no-such-bucket-anywhere/ns"); statusOf(err) != http.StatusBadRequest || !strings.Contains(err.Error(), words) {
				t.Errorf("create a repository in such a bucket: %v, want status 400 and the words %q", err, words)
			}
			if err := create("repo", "local://"+dir); err != nil {
				t.Fatal(err)
			}
			f.refused("repo", tc.source, tc.words)
		})
	}
}

// refused waits until an import of the source has failed with an error that contains words.
func (f *fleet) refused(repository, source, words string) {
	f.t.Helper()
	id := f.begin(repository, "main", source, destination)
	expect.Within(f.t, patience, "import failed", func(context.Context) (bool, error) {
		status := f.status(repository, "main", id)
		if status.Completed {
			return false, errors.New("import completed")
		}
		if status.Error.Message == "" {
			return false, nil
		}
		if !strings.Contains(status.Error.Message, words) {
			return false, fmt.Errorf("error %q does not hold %q", status.Error.Message, words)
		}
		return true, nil
	})
	if commits := f.log(repository, "main"); len(commits) != 1 {
		f.t.Errorf("commits: %+v", commits)
	}
}

func TestBadRequests(t *testing.T) {
	awkwardObjects(t)
	f := newFleet(t, smallBreaks, shape{})
	f.repository("repo", awkwardBucket)
	repo, err := f.client.Repository(t.Context(), "repo")
	if err != nil {
		t.Fatal(err)
	}
	prefix := func(source, destination string) api.ImportLocation {
		return api.ImportLocation{Type: "common_prefix", Path: source, Destination: destination}
	}
	for _, tc := range []struct {
		name, repository, branch string
		path                     api.ImportLocation
		status                   int
		words                    string
	}{
		{"repository", "nope", "main", prefix(awkwardSource, ""), 404, "repository not found"},
		{"branch", "repo", "nope", prefix(awkwardSource, ""), 404, "branch not found"},
		{"scheme", "repo", "main", prefix("ftp://a/b", ""), 400, "paths[0].path"},
		{"type", "repo", "main", api.ImportLocation{Type: "folder", Path: awkwardSource}, 400, "type"},
		{"namespace", "repo", "main", prefix(repo.StorageNamespace, ""), 400, "invalid import source"},
		{"within namespace", "repo", "main", prefix(repo.StorageNamespace+"/_lakefs/", ""), 400, "invalid import source"},
		{"prefix of namespace", "repo", "main", prefix(repo.StorageNamespace[:len(repo.StorageNamespace)-2], ""), 400, "invalid import source"},
		{"bucket of namespace", "repo", "main", prefix("s3://"+awkwardBucket+"/", ""), 400, "invalid import source"},
		{"local outside", "repo", "main", prefix("local:///etc/", ""), 400, "paths[0].path"},
		{"leaves the branch", "repo", "main", prefix(awkwardSource, "a/../../b"), 400, "paths[0].destination"},
		{"another repository", "repo", "main", prefix(awkwardSource, "lakefs://other/main/"), 400, "paths[0].destination"},
	} {
		_, err := f.client.StartImport(t.Context(), tc.repository, tc.branch, api.ImportPathsCreation{
			Paths: []api.ImportLocation{tc.path}, Commit: api.CommitCreation{Message: "m"},
		})
		if statusOf(err) != tc.status || !strings.Contains(err.Error(), tc.words) {
			t.Errorf("%s: %v, want status %d and the words %q", tc.name, err, tc.status, tc.words)
		}
	}
	stranger, err := client.New(client.Config{Endpoint: "http://" + f.api, AccessKeyID: accessKey, SecretAccessKey: "guess"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Repository(t.Context(), "repo"); statusOf(err) != 401 {
		t.Errorf("wrong secret: %v, want status 401", err)
	}
}
