// Package stage runs the stages between a LIST page and a stored range separately, each on
// input that is prepared in memory, so that the cost of each can be measured. Go benchmarks
// run them in one process, and the bench command in one process each.
package stage

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"

	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Walk is the name of the stage with which a worker that walks is compared.
const Walk = "walk"

// PageKeys is the number of objects in a page.
const PageKeys = 1000

// Step processes one page. Pages come in order, and start again at 0 after the last one.
type Step func(page int) error

// Stage is one stage, or the floor under all of them.
type Stage struct {
	Name  string
	About string
	make  func(context.Context, *Input) (Step, error)
}

// New returns a function that runs the stage on a page of the input.
func (s Stage) New(ctx context.Context, in *Input) (Step, error) {
	step, err := s.make(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("prepare stage %s: %w", s.Name, err)
	}
	return step, nil
}

// All returns the stages in their order in a worker.
func All() []Stage {
	return []Stage{
		{"fetch", "GET the pages and discard them", fetch},
		{"sdk", "decode pages with the AWS SDK", decodeSDK},
		{"decode", "decode pages", decode},
		{"entry", "build Arrow batches of entries", buildBatches},
		{"value", "encode values, with their identity hashes", encodeValues},
		{"table", "write ranges: values, hashes, blocks, compression", writeRanges},
		{"upload", "PUT the ranges", upload},
		{Walk, "request pages by tokens, one after another, and decode them", walk},
		{"floor", "only hash, scan and compress", floor},
	}
}

// ByName returns the stage with the given name, and whether there is one.
func ByName(name string) (Stage, bool) {
	for _, s := range All() {
		if s.Name == name {
			return s, true
		}
	}
	return Stage{}, false
}

// Input holds the first pages of a set in every form that a stage may start from.
type Input struct {
	Set      keyset.Set
	Bucket   string // name of the set, as a bucket of a synthetic server
	Endpoint string // URL of a synthetic server, for the stages that need one

	XML     [][]byte      // the pages in the form that the server sends
	Batches []entry.Batch // the pages as entries
	raw     []raw         // the pages in the forms that are hashed and compressed
}

// NewInput returns the first pages of the set that keyset.Parse returns for bucket.
func NewInput(ctx context.Context, bucket string, pages int, endpoint string) (*Input, error) {
	set, ok := keyset.Parse(bucket)
	if !ok || set.Len() < int64(pages)*PageKeys {
		return nil, fmt.Errorf("%q is not a set of at least %d keys", bucket, pages*PageKeys)
	}
	in := &Input{Set: set, Bucket: bucket, Endpoint: endpoint}
	server := synths3.New(synths3.Config{})
	builder := entry.NewBuilder()
	for page := range pages {
		in.XML = append(in.XML, in.render(ctx, server, page))
		in.Batches = append(in.Batches, in.batch(builder, page))
		in.raw = append(in.raw, newRaw(in.Batches[page], in.encode(page)))
	}
	return in, nil
}

// query returns the query of the LIST call for a page.
func (in *Input) query(page int) string {
	q := url.Values{"list-type": {"2"}, "encoding-type": {"url"}}
	if page > 0 {
		q.Set("start-after", in.Set.Key(int64(page)*PageKeys-1))
	}
	return q.Encode()
}

func (in *Input) render(ctx context.Context, server *synths3.Server, page int) []byte {
	rec := httptest.NewRecorder()
	server.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "GET", "/"+in.Bucket+"?"+in.query(page), nil))
	return rec.Body.Bytes()
}

func (in *Input) batch(b *entry.Builder, page int) entry.Batch {
	var key []byte
	for i := int64(page) * PageKeys; i < int64(page+1)*PageKeys; i++ {
		key = in.Set.AppendKey(key[:0], i)
		o := in.Set.Object(i)
		b.Append(key, fmt.Appendf(nil, "s3://%s/%s", in.Bucket, key),
			fmt.Appendf(nil, "%016x%016x", o.Hash[0], o.Hash[1]), o.Size, o.ModTime*1e6)
	}
	return b.Batch()
}

func (in *Input) encode(page int) [][]byte {
	values := make([][]byte, PageKeys)
	identities := table.Identities(nil, in.Batches[page])
	for i := range values {
		values[i] = table.AppendEntryValue(nil, in.Batches[page], i, identities[i])
	}
	return values
}
