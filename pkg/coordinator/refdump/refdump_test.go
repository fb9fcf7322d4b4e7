package refdump

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// fixture is a repository "repo" in a bucket.
type fixture struct {
	*Dumper
	t       *testing.T
	catalog *catalog.Catalog
	store   *memstore.Store
	files   *namespace.Files
}

func newFixture(t *testing.T, bucket kv.Bucket) *fixture {
	t.Helper()
	c, store := catalog.New(bucket), &memstore.Store{}
	_, err := c.CreateRepository(t.Context(), catalog.Repository{ID: "repo", StorageNamespace: "s3://repo/ns", DefaultBranch: "main"})
	expect.NoError(t, err)
	return &fixture{
		Dumper:  New(Config{Catalog: c, Stores: memstore.Buckets{"repo": store}, Log: slog.New(slog.DiscardHandler)}),
		t:       t,
		catalog: c, store: store,
		files: namespace.New(store, objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "repo", Key: "ns"}),
	}
}

// read returns the data of the records under a metarange, by key, as the texts of its fields.
func (f *fixture) read(id string) map[string]string {
	f.t.Helper()
	ctx := f.t.Context()
	ranges, err := metarange.Read(ctx, f.files, id)
	expect.NoError(f.t, err)
	all := make(map[string]string)
	for _, r := range ranges {
		data, err := f.files.Get(ctx, r.ID)
		expect.NoError(f.t, err)
		reader, err := table.Open(ctx, table.Bytes(data))
		expect.NoError(f.t, err)
		for rec, err := range reader.All(ctx, r.ID) {
			expect.NoError(f.t, err)
			const commit = 64 // digits; their number, as a signed varint, takes two bytes
			identity, rest := string(rec.Value[2:2+commit]), rec.Value[2+commit:]
			if _, err := hex.DecodeString(identity); err != nil {
				f.t.Errorf("identity %q of %q", identity, rec.Key)
			}
			n, w := protowire.ConsumeVarint(rest)
			if protowire.DecodeZigZag(n) != int64(len(rest)-w) {
				f.t.Errorf("data of %q: %d bytes of %d", rec.Key, protowire.DecodeZigZag(n), len(rest)-w)
			}
			all[string(rec.Key)] = strings.Join(fields(f.t, rest[w:]), " ")
		}
	}
	return all
}

// fields returns the fields of a message as "number:value".
func fields(t *testing.T, msg []byte) (all []string) {
	t.Helper()
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		msg = msg[n:]
		switch typ {
		case protowire.BytesType:
			text, n := protowire.ConsumeBytes(msg)
			all, msg = append(all, fmt.Sprintf("%d:%s", num, text)), msg[n:]
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(msg)
			all, msg = append(all, fmt.Sprintf("%d:%d", num, v)), msg[n:]
		default:
			t.Fatalf("field %d of type %d", num, typ)
		}
	}
	return all
}

func TestDump(t *testing.T) {
	f := newFixture(t, new(kvtest.Memory))
	ctx, rng := t.Context(), seeded.Rand(t)
	head, err := f.catalog.Resolve(ctx, "repo", "main")
	expect.NoError(t, err)
	commits := map[string]string{
		head.ID: fmt.Sprintf("1:%s 3:Repository created 4:\x08%s 8:1 9:1", head.ID, protowire.AppendVarint(nil, uint64(head.Created.Unix()))),
	}
	tree := strings.Repeat("ab", 32)
	for i := range 50 {
		c, err := f.catalog.AddCommit(ctx, "repo", catalog.Commit{
			Committer: "me", Message: fmt.Sprint("m", i), MetarangeID: tree, Created: time.Unix(100, 0), Metadata: map[string]string{"a": "1", "b": ""},
			Parents: []string{head.ID, tree}, Generation: i + 2,
		})
		expect.NoError(t, err)
		commits[c.ID] = fmt.Sprintf("1:%s 2:me 3:m%d 4:\x08\x64 5:%s 6:\x0a\x01a\x12\x011 6:\x0a\x01b\x12\x00 7:%s 7:%s 8:1 9:%d", c.ID, i, tree, head.ID, tree, i+2)
		if rng.IntN(2) == 0 {
			head = c
		}
	}
	branches, tags := map[string]string{}, map[string]string{}
	main, err := f.catalog.Branch(ctx, "repo", "main")
	expect.NoError(t, err)
	branches["main"] = "1:main 2:" + main.CommitID
	for _, name := range []string{"dev", "hid", "_x"} {
		_, err := f.catalog.Branches().CreateHidden(ctx, "repo", name, head.ID)
		expect.NoError(t, err)
		branches[name] = "1:" + name + " 2:" + head.ID
		_, err = f.catalog.Tags().Create(ctx, "repo", "v"+name+".0~1", head.ID)
		expect.NoError(t, err)
		tags["v"+name+".0~1"] = "1:v" + name + ".0~1 2:" + head.ID
	}
	dump, err := f.Dump(ctx, "repo")
	expect.NoError(t, err)
	for what, x := range map[string]struct {
		id   string
		want map[string]string
	}{"branches": {dump.Branches, branches}, "tags": {dump.Tags, tags}, "commits": {dump.Commits, commits}} {
		if got := f.read(x.id); !maps.Equal(got, x.want) {
			t.Errorf("%s %q, want %q", what, got, x.want)
		}
	}
	again, err := f.Dump(ctx, "repo")
	if err != nil || again != dump {
		t.Errorf("a second dump: %+v, %v, want %+v", again, err, dump)
	}
	text, err := f.store.Get(ctx, "ns/_lakefs/refs_manifest.json", 1000)
	var manifest Dump
	if err != nil || json.Unmarshal(text, &manifest) != nil || manifest != dump {
		t.Errorf("manifest %s, %v", text, err)
	}
	for _, key := range f.store.Keys("") {
		if !strings.HasPrefix(key, "ns/_lakefs/") {
			t.Errorf("a file is at %q", key)
		}
	}
}

// A repository without tags has an empty metarange of them, which lakeFS restores like any other.
func TestDumpOfANewRepository(t *testing.T) {
	f := newFixture(t, new(kvtest.Memory))
	dump, err := f.Dump(t.Context(), "repo")
	expect.NoError(t, err)
	if tags, branches, commits := f.read(dump.Tags), f.read(dump.Branches), f.read(dump.Commits); len(tags) != 0 || len(branches) != 1 || len(commits) != 1 {
		t.Errorf("tags %q, branches %q, commits %q", tags, branches, commits)
	}
	_, err = f.Dump(t.Context(), "none")
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("no repository: %v", err)
	}
}

// forgetful lists no keys that end with a text.
type forgetful struct {
	kv.Bucket
	lost string
}

func (b *forgetful) Keys(ctx context.Context, prefix string) ([]string, error) {
	keys, err := b.Bucket.Keys(ctx, prefix)
	return slices.DeleteFunc(keys, func(key string) bool { return b.lost != "" && strings.HasSuffix(key, b.lost) }), err
}

// No dump lacks the commit of a branch, and none has a manifest that is not whole.
func TestDumpFails(t *testing.T) {
	bucket := &forgetful{Bucket: new(kvtest.Memory)}
	f := newFixture(t, bucket)
	head, err := f.catalog.Resolve(t.Context(), "repo", "main")
	expect.NoError(t, err)
	bucket.lost = head.ID
	if _, err := f.Dump(t.Context(), "repo"); err == nil || !strings.Contains(err.Error(), head.ID) {
		t.Errorf("a commit is missing: %v", err)
	}
	if keys := f.store.Keys("ns/_lakefs/refs"); len(keys) > 0 {
		t.Errorf("there is a manifest: %q", keys)
	}
}
