package s3_test

import (
	"context"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
	"github.com/rangefleet/rangefleet/test/s3/siblings"
)

// restarting is a bucket whose server is restarted before a page of a walk.
type restarting struct {
	objectstore.Pager
	pages   int // pages before the restart
	restart func()
}

func (r *restarting) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (string, error) {
	if r.pages--; r.pages == 0 {
		r.restart()
	}
	return r.Pager.WalkPage(ctx, prefix, token, take)
}

// TestAWalkOutlivesARestartOfMinIO restarts MinIO in the middle of a walk. After that, MinIO
// treats its earlier token as a start after a key. The key is in a directory with many siblings,
// where MinIO then wrongly ends the listing. The product checks the end by LISTs behind it, and
// walks the bucket again.
func TestAWalkOutlivesARestartOfMinIO(t *testing.T) {
	server, restart := s3test.RestartableMinIO(t)
	set := load(t, server, []siblings.Set{siblings.Reported()})[0]
	client, err := s3store.New(t.Context(), server.Config())
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := client.Bucket(set.bucket)
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	cfg := readahead.Config{ConfirmEnds: true, Limiter: readahead.NewLimiter(readahead.Limits{})}
	store := readahead.Wrap(bucket, &restarting{Pager: bucket, pages: 3, restart: restart}, cfg, readahead.NewMetrics(reg))
	var keys []string
	for page, err := range store.Walk(t.Context(), "", objectstore.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			keys = append(keys, string(o.Key))
		}
	}
	if !slices.Equal(keys, set.Keys) {
		t.Errorf("a walk shows %d of %d keys", len(keys), len(set.Keys))
	}
	if measured.Sum(t, reg, "rangefleet_readahead_restarts_total") == 0 {
		t.Error("the first walk was complete: either MinIO keeps its tokens now, or this test detects no losses")
	}
}
