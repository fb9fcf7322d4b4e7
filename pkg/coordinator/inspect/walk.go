package inspect

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// walk lists a source page by page, by continuation tokens if it is in a bucket. A directory
// has none: there the token is the last key of the page before.
type walk struct {
	store  objectstore.Store
	bucket trial.Pages // nil for a directory
	prefix string
}

func (i *Inspector) walk(ctx context.Context, source objectstore.URI) (w walk, err error) {
	w.prefix = source.Key
	if w.store, err = i.cfg.Stores.OpenSource(ctx, source, false); err != nil || source.Scheme != objectstore.SchemeS3 {
		return w, err
	}
	b, err := i.cfg.Buckets.Trial(ctx, source)
	w.bucket = b.Pages
	return w, err
}

const (
	attempts   = 5 // of a LIST
	firstPause = 200 * time.Millisecond
	mostPause  = 5 * time.Second
)

// page calls take with the page of a token, unless it is empty, and returns the token of the
// next one, "" if there is none. An error of take is returned as it is.
func (w walk) page(ctx context.Context, token string, take func([]objectstore.Listed) error) (next string, err error) {
	if w.bucket == nil {
		return w.directory(ctx, token, take)
	}
	for attempt := 1; ; attempt++ {
		var taken error
		next, err = w.bucket.WalkPage(ctx, w.prefix, token, func(objects []objectstore.Listed) { taken = take(objects) })
		switch {
		case taken != nil:
			return "", taken
		case err == nil || objectstore.Permanent(err) || attempt == attempts:
			return next, err
		}
		wait := time.Duration(rand.Float64() * float64(pause.Bound(firstPause, mostPause, attempt)))
		if pause.For(ctx, wait) != nil {
			return "", err
		}
	}
}

func (w walk) directory(ctx context.Context, after string, take func([]objectstore.Listed) error) (next string, err error) {
	for objects, err := range w.store.List(ctx, w.prefix, after, objectstore.ListOptions{}) {
		if err != nil {
			return "", err
		}
		next = string(objects[len(objects)-1].Key)
		return next, take(objects)
	}
	return "", nil
}
