package objectstore

import (
	"fmt"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/redact"
)

// Schemes of URIs.
const (
	SchemeS3    = "s3"
	SchemeLocal = "local"
)

// URI names an object, or a prefix of objects' keys, byte for byte: nothing in
// it is percent-decoded. A bucket of a Ceph tenant is named tenant:bucket.
type URI struct {
	Scheme string // SchemeS3 or SchemeLocal
	Bucket string // empty for SchemeLocal
	Key    string // without the '/' that follows the bucket
}

// ParseURI parses s3://bucket/key and local:///path. Errors do not show logins and signatures.
func ParseURI(s string) (URI, error) {
	shown := redact.URLs(s)
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return URI{}, fmt.Errorf("%q has no scheme: want s3://bucket/prefix or local:///directory/", shown)
	}
	bucket, key, slash := strings.Cut(rest, "/")
	switch scheme {
	case SchemeS3:
		if bucket == "" {
			return URI{}, fmt.Errorf("%q names no bucket: want s3://bucket/prefix", shown)
		}
		if strings.ContainsAny(bucket, "@?#%\\ ") || !isBucket(bucket) {
			bucket, _, _ = strings.Cut(strings.TrimPrefix(shown, SchemeS3+"://"), "/")
			return URI{}, fmt.Errorf("%q has no valid bucket name: %q", shown, bucket)
		}
	case SchemeLocal:
		if bucket != "" || !slash {
			return URI{}, fmt.Errorf("%q is no absolute path: want local:///directory/", shown)
		}
		if err := checkLocalPath(key); err != nil {
			return URI{}, fmt.Errorf("%q: %w", shown, err)
		}
	default:
		return URI{}, fmt.Errorf("%q has the unknown scheme %q: want s3 or local", shown, scheme)
	}
	return URI{Scheme: scheme, Bucket: bucket, Key: key}, nil
}

// isBucket reports whether a name has no colon, or is that of a tenant's bucket. What is
// a number is a port, and the name that of a host.
func isBucket(name string) bool {
	tenant, bucket, of := strings.Cut(name, ":")
	return !of || tenant != "" && strings.Trim(bucket, "0123456789") != "" && !strings.Contains(bucket, ":")
}

// checkLocalPath refuses what the file system would read differently from how
// keys are compared.
func checkLocalPath(key string) error {
	for part := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
		if part == "." || part == ".." || (part == "" && key != "") {
			return fmt.Errorf("the path has an element %q", part)
		}
	}
	if strings.ContainsRune(key, 0) {
		return fmt.Errorf("the path holds a NUL byte")
	}
	return nil
}

// String is the inverse of ParseURI.
func (u URI) String() string { return u.Scheme + "://" + u.Bucket + "/" + u.Key }

// Comparable returns two URIs whose buckets are named alike: the tenant is left out if only one of them
// names one, since that may be the tenant of the credentials, which need not name it.
func Comparable(a, b URI) (URI, URI) {
	_, ofA, tenantOfA := strings.Cut(a.Bucket, ":")
	_, ofB, tenantOfB := strings.Cut(b.Bucket, ":")
	switch {
	case tenantOfA && !tenantOfB:
		a.Bucket = ofA
	case tenantOfB && !tenantOfA:
		b.Bucket = ofB
	}
	return a, b
}

// Join returns u with key appended to its own.
func (u URI) Join(key string) URI {
	u.Key += key
	return u
}

// Contains reports whether every key that starts with o's starts with u's too,
// in the same store.
func (u URI) Contains(o URI) bool {
	return u.Scheme == o.Scheme && u.Bucket == o.Bucket && strings.HasPrefix(o.Key, u.Key)
}
