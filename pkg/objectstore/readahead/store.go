package readahead

import (
	"context"
	"iter"
	"slices"
	"sync"
	"unsafe"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Wrap returns s with a List that reads ahead. It gets pages from the pager, which is the
// same store without waiting or retries of its own.
func Wrap(s objectstore.Store, pager objectstore.Pager, cfg Config, m *Metrics) objectstore.Walker {
	free := &sync.Pool{}
	free.New = func() any { return &page{free: free} }
	return &store{Store: s, lister: &lister[*page]{pages{pager, free}, cfg, m, func(error) {}}}
}

type store struct {
	objectstore.Store
	lister *lister[*page]
}

// Telling implements objectstore.Repeater. What it returns can be walked, too.
func (s *store) Telling(repeated func(cause error)) objectstore.Store {
	l := *s.lister
	l.repeated = repeated
	return &store{objectstore.Telling(s.Store, repeated), &l}
}

// List implements objectstore.Store.
func (s *store) List(ctx context.Context, prefix, after string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return unpack(s.lister.List(ctx, prefix, after, opts))
}

// Walk implements objectstore.Walker.
func (s *store) Walk(ctx context.Context, prefix string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return unpack(s.lister.Walk(ctx, prefix, opts))
}

// unpack yields the objects of pages, which it releases.
func unpack(pages iter.Seq2[*page, error]) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		var u unpacked
		for p, err := range pages {
			if err != nil {
				yield(nil, err)
				return
			}
			more := yield(u.unpack(p), nil)
			p.Release()
			if !more {
				return
			}
		}
	}
}

// page is a page of objects with memory of its own: pages are held until their turn comes,
// and the memory of a store's answer is several times larger. The common prefix of all
// keys is stored once. There are no pointers to objects, for the garbage collector would
// follow them all.
type page struct {
	prefix  []byte // of all keys
	objects []object
	start   uint32     // where the text of the first object starts
	text    []byte     // of each object the rest of the key, then the ETag
	free    *sync.Pool // to which the page is released
}

// object is an object of a page. Its text starts where that of the one before
// ends.
type object struct {
	keyEnd, end   uint32 // of the key, of the ETag
	size, modTime int64
}

// fill makes p a copy of objects, whose keys are in order.
func (p *page) fill(objects []objectstore.Listed) {
	p.prefix, p.text, p.objects, p.start = p.prefix[:0], p.text[:0], p.objects[:0], 0
	if len(objects) == 0 {
		return
	}
	first, last := objects[0].Key, objects[len(objects)-1].Key
	shared := keyspace.Common(first, last)
	p.prefix = append(p.prefix, first[:shared]...)
	n := 0
	for i := range objects {
		n += len(objects[i].Key) - shared + len(objects[i].ETag)
	}
	if cap(p.text) < n {
		p.text = make([]byte, 0, n) // no more than that: it counts
	}
	if cap(p.objects) < len(objects) {
		p.objects = make([]object, 0, len(objects))
	}
	for i := range objects {
		o := &objects[i]
		p.text = append(p.text, o.Key[shared:]...)
		keyEnd := uint32(len(p.text))
		p.text = append(p.text, o.ETag...)
		p.objects = append(p.objects, object{keyEnd, uint32(len(p.text)), o.Size, o.ModTime})
	}
}

// rest returns what key i has after the prefix.
func (p *page) rest(i int) []byte {
	start, end := p.start, p.objects[i].keyEnd
	if i > 0 {
		start = p.objects[i-1].end
	}
	return p.text[start:end:end]
}

// unpacked holds a page whose turn has come.
type unpacked struct {
	objects []objectstore.Listed
	keys    []byte
}

// unpack returns the objects of p, whose text lies in p and in u.
func (u *unpacked) unpack(p *page) []objectstore.Listed {
	u.objects = u.objects[:0]
	u.keys = slices.Grow(u.keys[:0], len(p.objects)*len(p.prefix)+len(p.text))
	for i := range p.objects {
		o, start := &p.objects[i], len(u.keys)
		u.keys = append(append(u.keys, p.prefix...), p.rest(i)...)
		u.objects = append(u.objects, objectstore.Listed{
			Key: u.keys[start:len(u.keys):len(u.keys)], ETag: p.text[o.keyEnd:o.end:o.end], Size: o.size, ModTime: o.modTime,
		})
	}
	return u.objects
}

func (p *page) Len() int { return len(p.objects) }

func (p *page) AppendKey(dst []byte, i int) []byte {
	return append(append(dst, p.prefix...), p.rest(i)...)
}

func (p *page) ModTime(i int) int64 { return p.objects[i].modTime }

func (p *page) Bytes() int {
	return cap(p.prefix) + cap(p.text) + cap(p.objects)*int(unsafe.Sizeof(object{}))
}

func (p *page) Head(n int) *page {
	p.objects = p.objects[:n]
	return p
}

func (p *page) Tail(n int) *page {
	if n > 0 {
		p.start = p.objects[n-1].end
		p.objects = append(p.objects[:0], p.objects[n:]...) // in place: the whole capacity stays in use
	}
	return p
}

// Release gives the page's memory to later pages.
func (p *page) Release() { p.free.Put(p) }

// pages is a pager of a store.
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

func (s pages) WalkPage(ctx context.Context, prefix, token string) (p *page, next string, err error) {
	p = s.free.Get().(*page)
	p.fill(nil)
	next, err = s.Pager.WalkPage(ctx, prefix, token, p.fill)
	return p, next, err
}
