package s3test

import (
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/test/s3/siblings"
)

// Kind is a kind of server that listings and imports are tried against.
type Kind struct {
	Name  string
	Start func(t testing.TB) Server // the server may end with t
	Holds siblings.Rules            // which keys it can hold
	Mode  objectstore.Mode          // how its buckets are listed, unless a setting says otherwise

	// LosesKeys says that the server hides keys from a LIST that starts after some
	// keys. MinIO does so for a continuation token, too, whose listing it has
	// dropped: after a restart, after three minutes, and by a race once in
	// thousands of walks on a busy machine. The ends of walks are looked behind for it.
	LosesKeys bool
}

// Kinds returns all kinds. The Ceph gateway runs already.
func Kinds(ceph Server) []Kind {
	anyKeys := siblings.Rules{ObjectAndDirectory: true, Markers: true}
	files := siblings.Rules{Markers: true} // of a file system, on which these servers keep objects
	return []Kind{
		{Name: "ceph", Start: func(testing.TB) Server { return ceph }, Holds: anyKeys, Mode: objectstore.Parallel},
		{Name: "minio", Start: MinIO, Holds: files, Mode: objectstore.Walk, LosesKeys: true},
		{Name: "versitygw", Start: Versity, Holds: files, Mode: objectstore.Walk},
		{Name: "moto", Start: Moto, Holds: anyKeys, Mode: objectstore.Walk},
	}
}
