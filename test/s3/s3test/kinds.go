package s3test

import (
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/test/s3/siblings"
)

// Kind is a kind of server that listings and imports are tried against.
type Kind struct {
	Name  string
	Start func(t testing.TB) Server // the server may end at the end of t
	Holds siblings.Rules            // which keys it can hold
	Mode  objectstore.Mode          // the mode that imports choose without a setting

	// LosesKeys means that the server omits keys in a LIST that starts after certain keys.
	// MinIO does so for continuation tokens, too, if it has dropped the state of the listing:
	// after a restart, after three minutes, and due to a race once in thousands of walks on a
	// busy machine. So walks check their ends.
	LosesKeys bool
}

// Kinds returns all kinds. The Ceph gateway must be running.
func Kinds(ceph Server) []Kind {
	anyKeys := siblings.Rules{ObjectAndDirectory: true, Markers: true}
	files := siblings.Rules{Markers: true} // for servers that keep objects in a file system
	return []Kind{
		{Name: "ceph", Start: func(testing.TB) Server { return ceph }, Holds: anyKeys, Mode: objectstore.Parallel},
		{Name: "minio", Start: MinIO, Holds: files, Mode: objectstore.Walk, LosesKeys: true},
		{Name: "versitygw", Start: Versity, Holds: files, Mode: objectstore.Walk},
		{Name: "moto", Start: Moto, Holds: anyKeys, Mode: objectstore.Walk},
	}
}
