package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
	"github.com/rangefleet/rangefleet/test/s3/siblings"
)

// An import from any server holds the objects that a walk by continuation tokens shows.
func TestImportsHoldWhatAWalkShows(t *testing.T) {
	for _, kind := range s3test.Kinds(ceph) {
		t.Run(kind.Name, func(t *testing.T) {
			r := seeded.Rand(t)
			server := kind.Start(t)
			f := newFleet(t, smallBreaks, shape{workers: 1},
				"RANGEFLEET_S3_ENDPOINT="+server.Endpoint,
				"RANGEFLEET_S3_ACCESS_KEY_ID="+server.AccessKeyID,
				"RANGEFLEET_S3_SECRET_ACCESS_KEY="+server.SecretAccessKey,
			)
			for _, set := range []siblings.Set{siblings.Reported(), siblings.Large(r, kind.Holds), siblings.Small(r, kind.Holds)} {
				bucket := f.compareWithWalk(server, set)
				if known := kind.LosesKeys || kind.Mode == objectstore.Parallel; known && set.Name == siblings.Reported().Name {
					f.tryBucket(kind, bucket, len(set.Keys))
				}
			}
		})
	}
}

// compareWithWalk loads a set into a bucket, imports the bucket, and compares the branch with a
// walk.
func (f *fleet) compareWithWalk(server s3test.Server, set siblings.Set) (bucket string) {
	f.t.Helper()
	ctx := f.t.Context()
	bucket = fmt.Sprintf("%s-%d", set.Name, time.Now().UnixNano())
	namespaces := bucket + "-namespaces"
	expect.NoError(f.t, server.CreateBucket(ctx, namespaces))
	expect.NoError(f.t, server.Load(ctx, bucket, set.Keys))
	walk, err := server.Walk(ctx, bucket, "")
	expect.NoError(f.t, err)

	f.repository(set.Name, namespaces)
	f.finish(set.Name, "main", f.begin(set.Name, "main", "s3://"+bucket+"/", ""))
	var got []objectstore.Object
	for o, err := range f.client.Objects(ctx, set.Name, "main", client.Page{}) {
		expect.NoError(f.t, err)
		got = append(got, objectstore.Object{Key: o.Path, ETag: o.Checksum, Size: o.SizeBytes})
	}
	for i := range min(len(got), len(walk)) {
		walk[i].ModTime = time.Time{} // the API has only seconds
		if got[i] != walk[i] {
			f.t.Fatalf("%s: object %d is %+v, a walk shows %+v", set.Name, i, got[i], walk[i])
		}
	}
	if len(got) != len(walk) {
		f.t.Errorf("%s: the branch has %d objects, a walk shows %d", set.Name, len(got), len(walk))
	}
	f.compareBySourceOf(set.Name, bucket, len(walk))
	return bucket
}

// compareBySourceOf lets a coordinator compare a branch with the bucket that it was imported
// from, which must find no difference.
func (f *fleet) compareBySourceOf(repository, bucket string, objects int) {
	f.t.Helper()
	ctx := f.t.Context()
	commit, err := f.client.Commit(ctx, repository, "main")
	expect.NoError(f.t, err)
	ask := api.ComparisonCreation{Source: "s3://" + bucket + "/", Names: 10}
	for equal, more := 0, true; more; more = ask.ContinuationToken != "" {
		part, err := f.client.Compare(ctx, repository, commit.MetaRangeID, ask)
		expect.NoError(f.t, err)
		equal += int(part.Equal)
		ask.ContinuationToken = part.ContinuationToken
		if len(part.Differences) > 0 || part.Later > 0 || part.ContinuationToken == "" && equal != objects {
			f.t.Errorf("%s: %d objects of %d are equal, and %+v", bucket, equal, objects, part)
		}
	}
}

// tryBucket lets a coordinator try a bucket with the given number of keys, and checks whether
// the trial finds that the kind of server loses keys.
func (f *fleet) tryBucket(kind s3test.Kind, bucket string, keys int) {
	f.t.Helper()
	got, err := f.client.TrySource(f.t.Context(), api.SourceTrialCreation{Source: "s3://" + bucket + "/"})
	expect.NoError(f.t, err)
	if fault := got.Starts.Fault; (fault.What != "") != kind.LosesKeys || got.Starts.Tried == 0 {
		f.t.Errorf("a trial of %d starts shows the fault %+v, want a fault: %t", got.Starts.Tried, fault, kind.LosesKeys)
	}
	if got.Walk.Keys != keys || !got.Walk.Complete || got.Walk.Fault != "" || objectstore.Mode(got.Listing.Mode) != kind.Mode {
		f.t.Errorf("a trial shows the walk %+v and the listing %+v, want %d keys, %s", got.Walk, got.Listing, keys, kind.Mode)
	}
}
