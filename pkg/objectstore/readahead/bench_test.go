package readahead_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
)

// generated is a store of generated keys.
type generated struct {
	objectstore.Store
	set keyset.Set
}

// ListPage implements objectstore.Pager.
func (g generated) ListPage(_ context.Context, _, after string, take func([]objectstore.Listed)) (more bool, err error) {
	const page = 1000
	from := g.set.Rank(after)
	to := min(from+page, g.set.Len())
	text := make([]byte, 0, page*100)
	objects := make([]objectstore.Listed, 0, page)
	for i := from; i < to; i++ {
		start := len(text)
		text = g.set.AppendKey(text, i)
		objects = append(objects, objectstore.Listed{Key: text[start:len(text):len(text)]})
	}
	take(objects)
	return to < g.set.Len(), nil
}

// WalkPage implements objectstore.Pager. A token is the last key.
func (g generated) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (next string, err error) {
	more, err := g.ListPage(ctx, prefix, token, func(objects []objectstore.Listed) {
		next = string(objects[len(objects)-1].Key)
		take(objects)
	})
	if !more {
		next = ""
	}
	return next, err
}

// BenchmarkList lists 100,000 keys; its store makes two allocations a page.
func BenchmarkList(b *testing.B) {
	set, err := keyset.New("hive", 100_000, 1)
	if err != nil {
		b.Fatal(err)
	}
	pager := generated{set: set}
	store := readahead.Wrap(pager, pager, readahead.Config{Limiter: readahead.NewLimiter(readahead.Limits{})}, readahead.NewMetrics(prometheus.NewRegistry()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for page, err := range store.List(b.Context(), "", "", objectstore.ListOptions{}) {
			if err != nil {
				b.Fatal(err)
			}
			n += len(page)
		}
		if n != 100_000 {
			b.Fatalf("%d keys", n)
		}
	}
}
