package s3test

import (
	"testing"

	"github.com/rangefleet/rangefleet/test/s3/siblings"
)

// Kind is a kind of server that listings and imports are tried against.
type Kind struct {
	Name  string
	Start func(t testing.TB) Server // the server may end with t
	Holds siblings.Rules            // which keys it can hold
}

// Kinds returns all kinds. The Ceph gateway runs already.
func Kinds(ceph Server) []Kind {
	return []Kind{
		{"ceph", func(testing.TB) Server { return ceph }, siblings.Rules{ObjectAndDirectory: true, Markers: true}},
		{"minio", MinIO, siblings.Rules{Markers: true}},
		{"versitygw", Versity, siblings.Rules{Markers: true}},
		{"moto", Moto, siblings.Rules{ObjectAndDirectory: true, Markers: true}},
	}
}
