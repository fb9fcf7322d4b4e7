package synths3

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxKeys is the most items in a page.
const maxKeys = 1000

// query holds the parameters of a LIST call.
type query struct {
	bucket     string
	prefix     string
	delimiter  string
	startAfter string
	token      string
	maxKeys    int
	encode     bool // encode keys like a URL's query
}

func parseQuery(bucket string, v url.Values) (query, error) {
	q := query{
		bucket: bucket, prefix: v.Get("prefix"), delimiter: v.Get("delimiter"), startAfter: v.Get("start-after"),
		token: v.Get("continuation-token"), maxKeys: maxKeys, encode: v.Get("encoding-type") == "url",
	}
	if v.Has("max-keys") {
		n, err := strconv.Atoi(v.Get("max-keys"))
		if err != nil || n < 0 {
			return query{}, fmt.Errorf("invalid max-keys %q", v.Get("max-keys"))
		}
		q.maxKeys = min(n, maxKeys)
	}
	if v.Has("continuation-token") {
		if _, _, err := openToken(q.token); err != nil {
			return query{}, fmt.Errorf("invalid continuation token: %w", err)
		}
	}
	return q, nil
}

// item is an item of a page: an object or a common prefix.
type item struct {
	index  int64  // of the key
	prefix string // if not empty, a common prefix, and index is its first key
}

// page is a page of a listing. Pages are pooled with their buffers.
type page struct {
	query
	items     []item
	truncated bool
	after     string // the token of the next page, set if truncated
	buf, key  []byte
}

// list answers a LIST call.
func (s *Server) list(w http.ResponseWriter, r *http.Request, name string, f *faults) {
	b := s.bucket(name)
	if b == nil {
		s.refuse(w, r, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
		return
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	q, err := parseQuery(name, r.URL.Query())
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, "InvalidArgument", err.Error())
		return
	}
	p, ok := s.pages.Get().(*page)
	if !ok {
		p = new(page)
	}
	defer s.pages.Put(p)
	p.query = q
	p.make(b, f.quirksOfPage(&s.counters), !s.cfg.Bare)
	if f.stalls(p) {
		s.counters.stalls.Add(1)
		if s.cfg.Wait(r.Context(), f.Stall.For.Duration) != nil {
			return
		}
	}
	s.counters.keys.Add(int64(len(p.items)))
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(p.buf)))
	_, _ = w.Write(p.buf) // the client is gone if this fails
}

// make finds the items of the page and renders it into p.buf.
func (p *page) make(b bucket, quirks quirks, checksums bool) {
	if st, ok := b.(*stored); ok {
		st.mu.RLock()
		defer st.mu.RUnlock()
	}
	p.fill(b, quirks)
	p.render(b, quirks, checksums)
}

// fill finds the items of the page.
func (p *page) fill(b bucket, quirks quirks) {
	at, end := p.start(b, quirks), b.Len()
	if p.prefix != "" {
		at = max(at, b.Below(p.prefix))
		if after := successor(p.prefix); after != "" {
			end = b.Below(after)
		}
	}
	size := p.maxKeys
	if quirks.has(EmptyPages) && p.token == "" {
		size = 0
	} else if quirks.has(ShortPages) && size > 1 {
		size = size/2 + int(at)%(size/2)
	}
	p.items = p.items[:0]
	for at < end && len(p.items) < size {
		it := p.item(b, at)
		p.items = append(p.items, it)
		if at++; it.prefix != "" {
			at = b.Below(successor(it.prefix))
		}
	}
	if n := len(p.items); n > 1 && quirks.has(Duplicates) {
		if n == size { // drop the last item to keep the size
			at = p.items[n-1].index
			p.items = p.items[:n-1]
		}
		p.items = slices.Insert(p.items, n/2, p.items[n/2-1])
	}
	p.truncated, p.after = at < end && p.maxKeys > 0, ""
	if p.truncated {
		p.after = p.next(b, at)
	}
	p.applyQuirks(b, quirks)
}

// start returns the index of the first key that the page may list.
func (p *page) start(b bucket, quirks quirks) int64 {
	if p.token != "" {
		key, whole, _ := openToken(p.token) // parseQuery has checked the token
		at := b.Rank(key)
		if whole {
			at = b.Below(successor(key))
		}
		if quirks.has(SkippingToken) {
			at++
		}
		return at
	}
	switch {
	case p.startAfter == "" || quirks.has(IgnoredStart):
		return 0
	case quirks.has(InclusiveStart):
		return b.Below(p.startAfter)
	}
	return b.Rank(p.startAfter)
}

// item returns the item of key i. A common prefix is listed if a key under it may be listed,
// even if start-after lies under it, too.
func (p *page) item(b bucket, i int64) item {
	if p.delimiter == "" {
		return item{index: i}
	}
	p.key = b.AppendKey(p.key[:0], i)
	if at := bytes.Index(p.key[len(p.prefix):], []byte(p.delimiter)); at >= 0 {
		return item{index: i, prefix: string(p.key[:len(p.prefix)+at+len(p.delimiter)])}
	}
	return item{index: i}
}

// next returns the token of the page that starts with the key of index at.
func (p *page) next(b bucket, at int64) string {
	if n := len(p.items); n > 0 && p.items[n-1].prefix != "" {
		return newToken(p.items[n-1].prefix, true)
	}
	if at == 0 {
		return newToken("", false)
	}
	p.key = b.AppendKey(p.key[:0], at-1)
	return newToken(string(p.key), false)
}

// A token holds the key after which the next page starts or, if whole is set, the prefix
// after whose last key it starts.

func newToken(key string, whole bool) string {
	kind := "k"
	if whole {
		kind = "p"
	}
	return base64.StdEncoding.EncodeToString([]byte(kind + key))
}

func openToken(token string) (key string, whole bool, err error) {
	text, err := base64.StdEncoding.DecodeString(token)
	if err == nil && (len(text) == 0 || !strings.Contains("kp", string(text[:1]))) {
		err = fmt.Errorf("%q is not a token of this server", token)
	}
	if err != nil {
		return "", false, err
	}
	return string(text[1:]), text[0] == 'p', nil
}

// successor returns the least string that is greater than all strings with the prefix, or ""
// if there is none. It need not be valid UTF-8.
func successor(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return ""
}
