package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

func TestStartRefusesByField(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	f.buckets["shared"] = &memstore.Store{}
	f.repository("other", "s3://shared/a/b")
	f.repository("top", "s3://whole")
	f.repository("slashes", "s3://odd//ns//")
	f.buckets["whole"], f.buckets["odd"] = &memstore.Store{}, &memstore.Store{}
	s := f.service()
	t.Cleanup(s.close)
	prefix, object := imports.CommonPrefix, imports.Object
	many := make([]imports.Path, limits.Paths+1)
	key := strings.Repeat("k", limits.Key)
	for _, tc := range []struct {
		name  string
		path  imports.Path
		field string // "" if it is accepted
		text  string
	}{
		{"fine", imports.Path{Type: prefix, URI: "s3://bucket/"}, "", ""},
		{"whole bucket", imports.Path{Type: prefix, URI: "s3://bucket"}, "", ""},
		{"awkward", imports.Path{Type: prefix, URI: "s3://bucket/%3A/../é", Destination: "a b/\U0001F600"}, "", ""},
		{"object", imports.Path{Type: object, URI: "s3://bucket/o", Destination: "x"}, "", ""},
		{"no type", imports.Path{URI: "s3://bucket/"}, "paths[0].type", `unknown type ""`},
		{"type", imports.Path{Type: "glob", URI: "s3://bucket/"}, "paths[0].type", `"glob"`},
		{"empty", imports.Path{Type: prefix}, "paths[0].path", "no scheme"},
		{"no bucket", imports.Path{Type: prefix, URI: "s3:///x"}, "paths[0].path", "no bucket"},
		{"scheme", imports.Path{Type: prefix, URI: "gs://bucket/"}, "paths[0].path", `unknown scheme "gs"`},
		{"upper case", imports.Path{Type: prefix, URI: "S3://bucket/"}, "paths[0].path", "unknown scheme"},
		{"UTF-8", imports.Path{Type: prefix, URI: "s3://bucket/\xff"}, "paths[0].path", "not valid UTF-8"},
		{"bad bucket", imports.Path{Type: prefix, URI: "s3://user:pw@bucket/"}, "paths[0].path", "no valid bucket"},
		{"unknown store", imports.Path{Type: prefix, URI: "s3://elsewhere/"}, "paths[0].path", "no such bucket"},
		{"local outside", imports.Path{Type: prefix, URI: "local:///etc/"}, "paths[0].path", "refused"},
		{"local upwards", imports.Path{Type: prefix, URI: "local:///a/../etc/"}, "paths[0].path", `element ".."`},
		{"own namespace", imports.Path{Type: prefix, URI: "s3://repo/ns/"}, "paths[0].path", `in repository namespace is prohibited`},
		{"own namespace by the name of a tenant", imports.Path{Type: prefix, URI: "s3://tenant:repo/ns/"}, "paths[0].path", `in repository namespace is prohibited`},
		{"namespace without slash", imports.Path{Type: prefix, URI: "s3://repo/ns"}, "paths[0].path", `in repository namespace is prohibited`},
		{"beside the namespace", imports.Path{Type: prefix, URI: "s3://repo/nsx"}, "", ""},
		{"below the namespace", imports.Path{Type: prefix, URI: "s3://shared/a/b/_lakefs/"}, "paths[0].path", `in repository namespace is prohibited`},
		{"prefix of a namespace", imports.Path{Type: prefix, URI: "s3://shared/a/"}, "paths[0].path", `in repository namespace is prohibited`},
		{"part of its name", imports.Path{Type: prefix, URI: "s3://shared/a"}, "paths[0].path", `in repository namespace is prohibited`},
		{"its bucket", imports.Path{Type: prefix, URI: "s3://shared"}, "paths[0].path", `in repository namespace is prohibited`},
		{"object in a namespace", imports.Path{Type: object, URI: "s3://shared/a/b/x", Destination: "x"}, "paths[0].path", `in repository namespace is prohibited`},
		{"object above a namespace", imports.Path{Type: object, URI: "s3://shared/a", Destination: "x"}, "", ""},
		{"a bucket that is a namespace", imports.Path{Type: prefix, URI: "s3://whole/x/"}, "paths[0].path", `in repository namespace is prohibited`},
		{"slashes around a namespace", imports.Path{Type: prefix, URI: "s3://odd/ns/"}, "paths[0].path", `in repository namespace is prohibited`},
		{"no object", imports.Path{Type: object, URI: "s3://bucket/", Destination: "x"}, "paths[0].path", "names no object"},
		{"object to nowhere", imports.Path{Type: object, URI: "s3://bucket/o"}, "paths[0].destination", "needs a key"},
		{"destination elsewhere", imports.Path{Type: prefix, URI: "s3://bucket/", Destination: "lakefs://other/main/"}, "paths[0].destination", "leaves the branch"},
		{"destination above", imports.Path{Type: prefix, URI: "s3://bucket/", Destination: "a/../../b"}, "paths[0].destination", `element ".."`},
		{"destination dot", imports.Path{Type: prefix, URI: "s3://bucket/", Destination: "./b"}, "paths[0].destination", `element "."`},
		{"longest destination", imports.Path{Type: prefix, URI: "s3://bucket/", Destination: key}, "", ""},
		{"longest key", imports.Path{Type: prefix, URI: "s3://bucket/" + key}, "", ""},
		{"long destination", imports.Path{Type: prefix, URI: "s3://bucket/", Destination: key + "k"}, "paths[0].destination", "1025 bytes, at most 1024"},
		{"destination of 200 kB", imports.Path{Type: prefix, URI: "s3://bucket/", Destination: strings.Repeat("d", 200_000)}, "paths[0].destination", "200000 bytes"},
		{"long key", imports.Path{Type: prefix, URI: "s3://bucket/" + key + "k"}, "paths[0].path", "1025 bytes, at most 1024"},
		{"long URI", imports.Path{Type: prefix, URI: "local:///" + strings.Repeat("d", limits.URI)}, "paths[0].path", "at most 4096"},
		{"destination UTF-8", imports.Path{Type: prefix, URI: "s3://bucket/", Destination: "\xff"}, "paths[0].destination", "not valid UTF-8"},
	} {
		r := request("", "")
		r.Paths = []imports.Path{tc.path}
		expectFault(t, s, tc.name, r, tc.field, tc.text)
		if tc.field != "" { // once more as the second path
			r.Paths = append(request("", "").Paths, tc.path)
			expectFault(t, s, tc.name+" as second", r, strings.Replace(tc.field, "[0]", "[1]", 1), tc.text)
		}
	}
	r := request("", "")
	r.Paths = many
	expectFault(t, s, "too many paths", r, "paths", "at most 1000")
	long := strings.Repeat("<", 1000) // each is stored as six bytes
	for i := range many[1:] {
		many[i] = imports.Path{Type: prefix, URI: "s3://bucket/" + long, Destination: fmt.Sprint(i, "/", long)}
	}
	r.Paths = many[:limits.Paths]
	expectFault(t, s, "too long paths", r, "paths", "max_payload")
	for i := range many[1:] {
		many[i] = imports.Path{Type: prefix, URI: "s3://bucket/", Destination: "d/"}
	}
	r.Paths = many[:limits.OpenPaths+1]
	expectFault(t, s, "too many paths to one destination", r, "paths", "65 of them have destinations that overlap, at most 64")
	for _, tc := range []struct {
		change      func(*imports.Request)
		field, text string
	}{
		{func(r *imports.Request) { r.Message = strings.Repeat("m", limits.Message) }, "", ""},
		{func(r *imports.Request) { r.Message = strings.Repeat("m", limits.Message+1) }, "commit.message", "16385 bytes, at most 16384"},
		{func(r *imports.Request) { r.Metadata = map[string]string{"k": strings.Repeat("v", limits.Metadata-1)} }, "", ""},
		{func(r *imports.Request) { r.Metadata = map[string]string{"kk": strings.Repeat("v", limits.Metadata-1)} }, "commit.metadata", "65537 bytes, at most 65536"},
	} {
		r := request("", "")
		tc.change(&r.Request)
		expectFault(t, s, tc.field, r, tc.field, tc.text)
	}
	for _, change := range []func(*imports.Request){
		func(r *imports.Request) { r.Repository = "unknown" },
		func(r *imports.Request) { r.Branch = "unknown" },
		func(r *imports.Request) { r.Branch = "no/../branch" },
		func(r *imports.Request) { r.Repository = "*" },
	} {
		r := request("", "")
		change(&r.Request)
		if id, err := s.Start(root.In(t.Context()), r); !fault.Is(err, fault.NotFound) {
			t.Errorf("Start on %+v = %q, %v, want NotFound", r.Request, id, err)
		}
	}
}

func expectFault(t *testing.T, s *Service, name string, r Start, field, text string) {
	t.Helper()
	id, err := s.Start(root.In(t.Context()), r)
	if field == "" {
		if err != nil || id == "" {
			t.Errorf("%s: %q, %v, want it to start", name, id, err)
		}
		return
	}
	var f *fault.Fault
	if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Field != field || !strings.Contains(f.Text, text) || id != "" {
		t.Errorf("%s: %q, %v, want the field %s and %q", name, id, err, field, text)
	}
}

func TestNamespacesMustTakeFiles(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	refuse := func(bucket, op string, err error) {
		f.buckets[bucket] = &memstore.Store{Hook: func(_ context.Context, c memstore.Call) error {
			if c.Op == op {
				return fmt.Errorf("%s s3://%s/%s: %w", op, bucket, c.Key, err)
			}
			return nil
		}}
	}
	denied := fmt.Errorf("AccessDenied: no: %w", objectstore.ErrRefused)
	refuse("absent", "put", fmt.Errorf("NoSuchBucket: no: %w", objectstore.ErrNotFound))
	refuse("unwritable", "put", denied)
	refuse("unreadable", "get", denied)
	refuse("away", "put", errors.New("connection refused"))
	f.buckets["unlisted"] = &memstore.Store{Hook: func(_ context.Context, c memstore.Call) error {
		if c.Op != "put" && c.Op != "get" {
			return denied
		}
		return nil
	}}
	s := f.service()
	t.Cleanup(s.close)
	for namespace, want := range map[string]fault.Fault{ // Text is a part of its text
		"s3://bucket/ns": {}, "s3://bucket": {}, "s3://unlisted/ns/": {},
		"gs://bucket": {}, // which the catalog refuses
		"s3://bucket/" + strings.Repeat("n", limits.Namespace): {Kind: fault.Invalid, Text: "912 bytes, at most 900"},
		"s3://elsewhere/ns":  {Kind: fault.Invalid, Text: "no such bucket"},
		"local:///etc/ns":    {Kind: fault.Invalid, Text: "refused"},
		"s3://absent/ns":     {Kind: fault.Invalid, Text: "NoSuchBucket: no"},
		"s3://unwritable/ns": {Kind: fault.Invalid, Text: "AccessDenied: no"},
		"s3://unreadable/ns": {Kind: fault.Invalid, Text: "AccessDenied: no"},
		"s3://away/ns":       {Kind: fault.Later, Text: "connection refused"},
	} {
		expectNamespaceFault(t, s, namespace, want)
	}
	if again := s.CheckNamespace(t.Context(), "s3://bucket/ns"); again != nil {
		t.Errorf("a second time: %v", again)
	}
	if keys := f.buckets["bucket"].Keys("ns/"); len(keys) != 1 || !strings.HasPrefix(keys[0], "ns/_lakefs/") {
		t.Errorf("%q are stored, want one file", keys)
	}
}

// expectNamespaceFault checks that the namespace is refused as want says, or not at all if
// want has no kind.
func expectNamespaceFault(t *testing.T, s *Service, namespace string, want fault.Fault) {
	t.Helper()
	err := s.CheckNamespace(t.Context(), namespace)
	if want.Kind == 0 {
		expect.NoError(t, err)
		return
	}
	var f *fault.Fault
	if !errors.As(err, &f) || f.Kind != want.Kind || f.Field != "storage_namespace" || !strings.Contains(f.Text, want.Text) {
		t.Errorf("%s: %v, want %+v", namespace, err, want)
		return
	}
	if len(namespace) <= limits.Namespace && strings.Count(f.Text, namespace) != 1 {
		t.Errorf("%s: %v, want the text to name the namespace once", namespace, err)
	}
}

func TestOnlyAllowedSourcesAreImported(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	f.buckets["second"] = &memstore.Store{}
	for _, text := range []string{"s3://bucket/data/", "s3://second"} {
		uri, err := objectstore.ParseURI(text)
		expect.NoError(t, err)
		f.config.Allowed = append(f.config.Allowed, uri)
	}
	s := f.service()
	t.Cleanup(s.close)
	for uri, ok := range map[string]bool{
		"s3://bucket/data/": true, "s3://bucket/data/x": true, "s3://second/any": true,
		"s3://bucket/data": false, "s3://bucket/data2/": false, "s3://bucket/": false, "s3://other/": false, "local:///data/": false,
	} {
		r := request("", "")
		r.Paths[0].URI = uri
		field, text := "paths[0].path", "sources.allow"
		if ok {
			field = ""
		}
		expectFault(t, s, uri, r, field, text)
		_, err := s.IngestRange(t.Context(), "repo", Ingest{FromSourceURI: uri})
		if refused := fault.Is(err, fault.Invalid) && strings.Contains(err.Error(), "sources.allow"); refused == ok {
			t.Errorf("IngestRange of %s: %v", uri, err)
		}
	}
}

func TestARepeatedRequestIsOneImport(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	s := f.service()
	id := f.start(s, request("", ""))
	other := f.service()
	t.Cleanup(other.close)
	if again := f.start(other, request("", "")); again != id {
		t.Errorf("the same request started %s, want %s", again, id)
	}
	if third := f.start(s, request("", "elsewhere")); third == id {
		t.Error("another request started the same import")
	}
	record := f.record(id)
	if record.State != imports.Running || !slices.Equal(record.Job.Paths, request("", "").Paths) || record.Job.Namespace != "s3://repo/ns" || record.Job.Breaks != small {
		t.Errorf("stored %+v", record)
	}
	f.run(s.Run)
	f.work(2)
	f.completed(id)
	if again := f.start(s, request("", "")); again == id {
		t.Error("after its import has ended, the same request starts no other import")
	} else {
		f.completed(again)
	}
}

func TestAnImportWithoutAMessageGetsTheDefault(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	s := f.service()
	t.Cleanup(s.close)
	r := request("", "")
	r.Request.Message = ""
	record, err := f.imports.Get(t.Context(), f.start(s, r))
	expect.NoError(t, err)
	if record.Request.Message != "Import objects" {
		t.Errorf("message %q, want the default", record.Request.Message)
	}
}
