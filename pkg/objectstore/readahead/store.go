package readahead

import (
	"context"
	"errors"
	"iter"
	"sync"
	"unsafe"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Wrap returns s with a List that reads ahead by pages of the pager, a view of
// the same store that neither waits nor tries again by itself.
func Wrap(s objectstore.Store, pager objectstore.Pager, cfg Config, m *Metrics) objectstore.Store {
	cfg.Throttled = func(err error) bool { return errors.Is(err, objectstore.ErrThrottled) }
	free := &sync.Pool{}
	free.New = func() any { return &page{free: free} }
	return &store{Store: s, lister: New(pages{pager, free}, cfg, m)}
}

type store struct {
	objectstore.Store
	lister *Lister[*page]
}

// List implements objectstore.Store.
func (s *store) List(ctx context.Context, prefix, after, upto string) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		for p, err := range s.lister.List(ctx, prefix, after, upto) {
			if err != nil {
				yield(nil, err)
				return
			}
			more := yield(p.objects, nil)
			p.Release()
			if !more {
				return
			}
		}
	}
}

// page is a page of objects with memory of its own: that of the store's answer
// is several times larger, and pages are held until their turn comes.
type page struct {
	objects []objectstore.Listed
	text    []byte     // keys and ETags
	free    *sync.Pool // where it goes to
}

// fill makes p a copy of objects.
func (p *page) fill(objects []objectstore.Listed) {
	n := 0
	for _, o := range objects {
		n += len(o.Key) + len(o.ETag)
	}
	if cap(p.text) < n {
		p.text = make([]byte, 0, n)
	}
	p.text, p.objects = p.text[:0], append(p.objects[:0], objects...)
	for i := range p.objects {
		o := &p.objects[i]
		o.Key, o.ETag = p.copy(o.Key), p.copy(o.ETag)
	}
}

// copy appends b to the text, which has room for it, and returns the copy.
func (p *page) copy(b []byte) []byte {
	n := len(p.text)
	p.text = append(p.text, b...)
	return p.text[n:len(p.text):len(p.text)]
}

func (p *page) Len() int         { return len(p.objects) }
func (p *page) Key(i int) string { return string(p.objects[i].Key) }
func (p *page) Bytes() int {
	return cap(p.text) + cap(p.objects)*int(unsafe.Sizeof(objectstore.Listed{}))
}

func (p *page) Head(n int) *page {
	p.objects = p.objects[:n]
	return p
}

// Release gives the page's memory to pages to come.
func (p *page) Release() { p.free.Put(p) }

// pages is a Pager of a store.
type pages struct {
	objectstore.Pager
	free *sync.Pool // of *page
}

func (s pages) ListPage(ctx context.Context, prefix, after string) (p *page, more bool, err error) {
	p = s.free.Get().(*page)
	p.fill(nil)
	more, err = s.Pager.ListPage(ctx, prefix, after, p.fill)
	return p, more, err
}
