package coordinator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func uris(t *testing.T, texts ...string) (all []objectstore.URI) {
	t.Helper()
	for _, text := range texts {
		uri, err := objectstore.ParseURI(text)
		expect.NoError(t, err)
		all = append(all, uri)
	}
	return all
}

func TestNamespacesMayNotTouchAllowedSources(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	f.buckets["lake"], f.buckets["meta"] = &memstore.Store{}, &memstore.Store{}
	for _, tc := range []struct {
		sources, namespaces []string // the settings
		namespace           string
		refusal             string // "" if it is fine
	}{
		{nil, nil, "s3://meta/demo", ""},
		{[]string{"s3://lake/"}, nil, "s3://meta/demo", ""},
		{[]string{"s3://lake/"}, nil, "s3://lake", "sources.allow"},
		{[]string{"s3://lake/"}, nil, "s3://lake/", "sources.allow"},
		{[]string{"s3://lake/"}, nil, "s3://lake/data/demo", "sources.allow"},
		{[]string{"s3://lake/data/"}, nil, "s3://lake", "sources.allow"},
		{[]string{"s3://lake/data/"}, nil, "s3://lake//data//", "sources.allow"},
		{[]string{"s3://lake/data/"}, nil, "s3://lake/data", "sources.allow"},
		{[]string{"s3://lake/data"}, nil, "s3://lake/data-meta", "sources.allow"}, // whose keys start with "data"
		{[]string{"s3://lake/data/"}, nil, "s3://lake/data-meta", ""},
		{[]string{"s3://meta/x/", "s3://lake/data/"}, nil, "s3://lake/data/x", "sources.allow"},
		{[]string{"s3://meta/x/", "s3://lake/data/"}, nil, "s3://meta/y", ""},
		{nil, []string{"s3://meta/"}, "s3://meta", ""},
		{nil, []string{"s3://meta/"}, "s3://meta/demo", ""},
		{nil, []string{"s3://meta/a/"}, "s3://meta/a", ""},
		{nil, []string{"s3://meta/a/"}, "s3://meta/ab", "namespaces.allow"},
		{nil, []string{"s3://meta/a/"}, "s3://meta", "namespaces.allow"},
		{nil, []string{"s3://meta/"}, "s3://lake/demo", "namespaces.allow"},
		// A place within a source is for namespaces if a narrower setting names it.
		{[]string{"s3://lake/"}, []string{"s3://lake/_meta/"}, "s3://lake/_meta/demo", ""},
		{[]string{"s3://lake/"}, []string{"s3://lake/_meta/"}, "s3://lake/_meta", ""},
		{[]string{"s3://lake/"}, []string{"s3://lake/"}, "s3://lake/_meta", "sources.allow"},
		{[]string{"s3://lake/data/"}, []string{"s3://lake/"}, "s3://lake/data/demo", "sources.allow"},
		{[]string{"s3://lake/data/"}, []string{"s3://lake/"}, "s3://lake", "sources.allow"},
		{[]string{"s3://lake/data/"}, []string{"s3://lake/"}, "s3://lake/meta", ""},
	} {
		f.config.Allowed, f.config.Namespaces = uris(t, tc.sources...), uris(t, tc.namespaces...)
		s := f.service()
		err := s.CheckNamespace(t.Context(), tc.namespace)
		s.close()
		if (err == nil) != (tc.refusal == "") || err != nil && (!fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "storage_namespace: ") || !strings.Contains(err.Error(), tc.refusal)) {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

// If any source is allowed, no namespace may lie in a source that is imported.
func TestNamespacesMayNotTouchImportedSources(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	s := f.service()
	t.Cleanup(s.close)
	id := f.start(s, request("raw/", ""))
	at := func(namespace string) error { return s.CheckNamespace(t.Context(), namespace) }
	for _, state := range []imports.State{imports.Running, imports.Committing, imports.Completed, imports.Failed, imports.Canceled} {
		_, err := f.imports.Apply(t.Context(), id, func(r imports.Record) (imports.Record, error) {
			r.State = state
			return r, nil
		})
		expect.NoError(t, err)
		for _, namespace := range []string{"s3://bucket", "s3://bucket/raw", "s3://bucket/raw/x"} {
			err, gone := at(namespace), state == imports.Failed || state == imports.Canceled
			if gone && err != nil || !gone && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "a source that is or was imported") || names(err, id) || namespace == "s3://bucket" && names(err, "raw")) {
				t.Errorf("%s, import %s: %v", namespace, state, err)
			}
		}
		if err := at("s3://bucket/rawer"); err != nil {
			t.Errorf("beside the source: %v", err)
		}
	}
}

// names reports whether the text of an error has one of some texts, which a caller may not see.
func names(err error, texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
}

func TestARepositoryInUseIsNotDeleted(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	f.repository("idle", "s3://repo/idle")
	s, _ := f.serve()
	id := f.start(s, request("", ""))
	err := s.DeleteRepository(t.Context(), "repo")
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "has running imports (1)") || names(err, id) {
		t.Errorf("while an import runs: %v", err)
	}
	expect.NoError(t, s.DeleteRepository(t.Context(), "idle"))
	f.work(2)
	f.completed(id)
	files := len(f.buckets["repo"].Keys(""))
	expect.NoError(t, s.DeleteRepository(t.Context(), "repo"))
	if err := s.DeleteRepository(t.Context(), "repo"); !fault.Is(err, fault.NotFound) {
		t.Errorf("again: %v", err)
	}
	if now := len(f.buckets["repo"].Keys("")); now != files || now == 0 {
		t.Errorf("%d of %d files are left", now, files)
	}
	if _, err := s.Start(t.Context(), request("", "")); !fault.Is(err, fault.NotFound) {
		t.Errorf("an import into a deleted repository: %v", err)
	}
	f.repository("repo", "s3://repo/ns")
	if got := f.completed(f.start(s, request("", ""))); got.Job.ImportID == id {
		t.Error("the import of the deleted repository was returned")
	}
	if log := f.log(); len(log) != 2 {
		t.Errorf("the log is %+v", log)
	}
}

// TestAnImportOfADeletedRepositoryEnds deletes the repository of an import at each step of
// landing, and creates another one with the same ID or not. This happens if the import is
// accepted while the repository is deleted. The other repository is not touched.
func TestAnImportOfADeletedRepositoryEnds(t *testing.T) {
	t.Parallel()
	for _, anew := range []bool{false, true} {
		everyStep(t, func(l *coveredImport, n int) {
			l.steps.before = func(step int) error {
				if step == n {
					expect.NoError(t, l.fleet.catalog.DeleteRepository(t.Context(), "repo"))
					if anew {
						l.fleet.repository("repo", "s3://repo/other")
					}
				}
				return nil
			}
			_, _ = l.driver(l.mine).step(t.Context()) // with or without an error, the import ends
			record := l.driveToEnd()
			if record.State == imports.Failed && !strings.Contains(record.Error, "not found") {
				t.Errorf("step %d, created again: %v: %q", n, anew, record.Error)
			}
			if !anew || l.steps.n < n {
				return
			}
			log, err := l.fleet.catalog.Log(t.Context(), "repo", catalog.LogQuery{Ref: "main", Amount: 9})
			if err != nil || len(log.Commits) != 1 {
				t.Errorf("step %d: the new repository has %+v, %v", n, log, err)
			}
		})
	}
}

// Records of imports of another version do not keep repositories from being created and
// deleted.
func TestImportsOfAnotherVersionBlockNoRepository(t *testing.T) {
	t.Parallel()
	server := queuetest.StartServer(t, natsd.Config{})
	old := queuetest.Connect(t, natsconn.Config{InProcess: server, Protocol: natsconn.Protocol - 1})
	job := imports.Job{ImportID: "old", Paths: request("raw/", "").Paths}
	expect.NoError(t, imports.NewStore(old.Bucket(kv.BucketImports)).Create(t.Context(), imports.New(job, request("raw/", "").Request, time.Now())))
	q := queuetest.Connect(t, natsconn.Config{InProcess: server})
	f := fleetOver(t, q, &memstore.Store{})
	s := f.service()
	t.Cleanup(s.close)
	expect.NoError(t, s.CheckNamespace(t.Context(), "s3://bucket/raw/x"))
	expect.NoError(t, s.DeleteRepository(t.Context(), "repo"))
}
