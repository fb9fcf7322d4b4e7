package objectstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

func TestParseURI(t *testing.T) {
	for text, want := range map[string]objectstore.URI{
		"s3://b":                {Scheme: "s3", Bucket: "b"},
		"s3://b/":               {Scheme: "s3", Bucket: "b"},
		"s3://b/k":              {Scheme: "s3", Bucket: "b", Key: "k"},
		"s3://b//k//":           {Scheme: "s3", Bucket: "b", Key: "/k//"},
		"s3://b/a/../b/./":      {Scheme: "s3", Bucket: "b", Key: "a/../b/./"},
		"s3://b/%2F?x=y#z":      {Scheme: "s3", Bucket: "b", Key: "%2F?x=y#z"},
		"s3://b/a://c":          {Scheme: "s3", Bucket: "b", Key: "a://c"},
		"s3://b.c-d_e/\x00é":    {Scheme: "s3", Bucket: "b.c-d_e", Key: "\x00é"},
		"s3://tenant:b/k":       {Scheme: "s3", Bucket: "tenant:b", Key: "k"},
		"s3://tenant:9b":        {Scheme: "s3", Bucket: "tenant:9b"},
		"local:///":             {Scheme: "local"},
		"local:///dir":          {Scheme: "local", Key: "dir"},
		"local:///dir/sub/":     {Scheme: "local", Key: "dir/sub/"},
		"local:///%2e%2e/ a b/": {Scheme: "local", Key: "%2e%2e/ a b/"},
		"local:///.hidden/...":  {Scheme: "local", Key: ".hidden/..."},
	} {
		got, err := objectstore.ParseURI(text)
		if err != nil || got != want {
			t.Errorf("ParseURI(%q) = %+v, %v, want %+v", text, got, err, want)
		}
		again, err := objectstore.ParseURI(got.String())
		if err != nil || again != got {
			t.Errorf("%q reads back as %+v, %v, want %+v", got.String(), again, err, got)
		}
	}
}

func TestParseURIRefuses(t *testing.T) {
	for text, why := range map[string]string{
		"":                  "no scheme",
		"bucket/key":        "no scheme",
		"s3:/b/k":           "no scheme",
		"://b/k":            "unknown scheme",
		"gs://b/k":          "unknown scheme",
		"S3://b/k":          "unknown scheme",
		"s3://":             "names no bucket",
		"s3:///k":           "names no bucket",
		"s3://user:pw@b/k":  "no valid bucket name",
		"s3://b:9000/k":     "no valid bucket name",
		"s3://b:9000":       "no valid bucket name",
		"s3://:b/k":         "no valid bucket name",
		"s3://b:/k":         "no valid bucket name",
		"s3://a:b:c/k":      "no valid bucket name",
		"s3://b?versions":   "no valid bucket name",
		"s3://a b/k":        "no valid bucket name",
		"s3://a%2Fb/k":      "no valid bucket name",
		`s3://a\b/k`:        "no valid bucket name",
		"local://":          "no absolute path",
		"local://dir/sub":   "no absolute path",
		"local://host/dir":  "no absolute path",
		"local:////":        `element ""`,
		"local:///a//b":     `element ""`,
		"local:///a/b//":    `element ""`,
		"local:////etc":     `element ""`,
		"local:///..":       `element ".."`,
		"local:///a/../b":   `element ".."`,
		"local:///a/..":     `element ".."`,
		"local:///./a":      `element "."`,
		"local:///a/./":     `element "."`,
		"local:///a\x00/b/": "NUL",
	} {
		got, err := objectstore.ParseURI(text)
		if err == nil || got != (objectstore.URI{}) || !strings.Contains(err.Error(), why) {
			t.Errorf("ParseURI(%q) = %+v, %v, want an error of %q", text, got, err, why)
		}
	}
}

func TestContains(t *testing.T) {
	for _, tc := range []struct {
		outer, inner string
		want         bool
	}{
		{"s3://b", "s3://b/k", true},
		{"s3://b/k", "s3://b/k", true},
		{"s3://b/k", "s3://b/key", true}, // a prefix of keys, not a directory
		{"s3://b/k/", "s3://b/key", false},
		{"s3://b/k/", "s3://b/k", false},
		{"s3://b", "s3://bb", false},
		{"s3://b/", "local:///", false},
		{"local:///", "local:///x", true},
		{"local:///x/", "local:///x/y", true},
	} {
		outer, err := objectstore.ParseURI(tc.outer)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := objectstore.ParseURI(tc.inner)
		if err != nil {
			t.Fatal(err)
		}
		if got := outer.Contains(inner); got != tc.want {
			t.Errorf("%s contains %s: %t", outer, inner, got)
		}
	}
}

func TestJoin(t *testing.T) {
	u := objectstore.URI{Scheme: "s3", Bucket: "b", Key: "a"}
	if got := u.Join("/../c").String(); got != "s3://b/a/../c" || u.Key != "a" {
		t.Errorf("Join = %s, and %+v after it", got, u)
	}
}

func TestPermanent(t *testing.T) {
	for _, err := range []error{objectstore.ErrNotFound, objectstore.ErrRefused, objectstore.ErrBadListing} {
		if !objectstore.Permanent(fmt.Errorf("list: %w", err)) {
			t.Errorf("%v passes", err)
		}
	}
	for _, err := range []error{nil, errors.New("not found"), errors.New("SlowDown")} {
		if objectstore.Permanent(err) {
			t.Errorf("%v is permanent", err)
		}
	}
}

func FuzzParseURI(f *testing.F) {
	for _, s := range []string{"s3://b/k", "local:///a/", "s3://", "local:////", "a", "://", "s3:// ", "local://", "local:///\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := objectstore.ParseURI(s)
		if err != nil {
			return
		}
		if got := u.String(); got != s && got != s+"/" {
			t.Errorf("%q became %q", s, got)
		}
		if again, err := objectstore.ParseURI(u.String()); err != nil || again != u {
			t.Errorf("%+v reads back as %+v, %v", u, again, err)
		}
	})
}

// A bucket without a tenant may be that of any one.
func TestComparable(t *testing.T) {
	for _, tc := range []struct {
		a, b  string
		alike bool
	}{
		{"s3://b/k", "s3://b/k", true},
		{"s3://t:b/k", "s3://b/k", true},
		{"s3://b/k", "s3://t:b/k", true},
		{"s3://t:b/k", "s3://t:b/k", true},
		{"s3://t:b/k", "s3://u:b/k", false},
		{"s3://t:b/k", "s3://c/k", false},
		{"s3://t:b/k", "s3://t/k", false},
		{"local:///b/k", "s3://b/k", false},
	} {
		a, errA := objectstore.ParseURI(tc.a)
		b, errB := objectstore.ParseURI(tc.b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if x, y := objectstore.Comparable(a, b); (x == y) != tc.alike {
			t.Errorf("%s and %s: %v, %v", tc.a, tc.b, x, y)
		}
	}
}
