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
		var objects []objectstore.Listed
		for p, err := range s.lister.List(ctx, prefix, after, upto) {
			if err != nil {
				yield(nil, err)
				return
			}
			objects = p.appendTo(objects[:0])
			more := yield(objects, nil)
			p.Release()
			if !more {
				return
			}
		}
	}
}

// page is a page of objects with memory of its own: that of the store's answer
// is several times larger, and pages are held until their turn comes. It has no
// pointers to objects, for the garbage collector would follow them all.
type page struct {
	objects []object
	text    []byte     // of each object the key, then the ETag
	free    *sync.Pool // where it goes to
}

// object is an object of a page. Its text starts where that of the one before
// ends.
type object struct {
	keyEnd, end   uint32 // of the key, of the ETag
	size, modTime int64
}

// fill makes p a copy of objects.
func (p *page) fill(objects []objectstore.Listed) {
	n := 0
	for i := range objects {
		n += len(objects[i].Key) + len(objects[i].ETag)
	}
	if cap(p.text) < n {
		p.text = make([]byte, 0, n)
	}
	if cap(p.objects) < len(objects) {
		p.objects = make([]object, 0, len(objects))
	}
	p.text, p.objects = p.text[:0], p.objects[:0]
	for i := range objects {
		o := &objects[i]
		p.text = append(p.text, o.Key...)
		keyEnd := uint32(len(p.text))
		p.text = append(p.text, o.ETag...)
		p.objects = append(p.objects, object{keyEnd, uint32(len(p.text)), o.Size, o.ModTime})
	}
}

// appendTo appends the objects to dst, as references to the page.
func (p *page) appendTo(dst []objectstore.Listed) []objectstore.Listed {
	for i := range p.objects {
		o := &p.objects[i]
		dst = append(dst, objectstore.Listed{
			Key: p.key(i), ETag: p.text[o.keyEnd:o.end:o.end], Size: o.size, ModTime: o.modTime,
		})
	}
	return dst
}

func (p *page) key(i int) []byte {
	start, end := uint32(0), p.objects[i].keyEnd
	if i > 0 {
		start = p.objects[i-1].end
	}
	return p.text[start:end:end]
}

func (p *page) Len() int { return len(p.objects) }

// Key is the page's memory under another name: a plan looks at dozens of the
// keys of a page, and copies those that it keeps.
func (p *page) Key(i int) string {
	k := p.key(i)
	return unsafe.String(unsafe.SliceData(k), len(k)) //nolint:gosec // as the interface says
}

func (p *page) Bytes() int {
	return cap(p.text) + cap(p.objects)*int(unsafe.Sizeof(object{}))
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
