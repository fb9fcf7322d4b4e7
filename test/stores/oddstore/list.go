package oddstore

import (
	"compress/gzip"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxPage is the most keys in a page.
const maxPage = 1000

// list serves a ListObjectsV2 call.
func (s *Store) list(w http.ResponseWriter, bucket string, q url.Values) {
	if _, exists, _ := s.get(bucket, ""); !exists {
		refuse(w, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.", "")
		return
	}
	faults := s.faults
	if bucket != Source {
		faults = Faults{}
	}
	keys := maxPage
	if faults.DefaultPage > 0 {
		keys = faults.DefaultPage
	}
	if n, err := strconv.Atoi(q.Get("max-keys")); err == nil {
		keys = min(n, maxPage)
	}
	if faults.LatePage > 0 && keys > faults.LatePage {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusGatewayTimeout)
		fmt.Fprint(w, "<html><body><h1>504 Gateway Time-out</h1>The server didn't respond in time.</body></html>")
		return
	}
	p := s.page(bucket, q, keys, faults)
	w.Header().Set("Content-Type", "application/xml")
	if faults.Says != "" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, faults.Says)
		return
	}
	var body io.Writer = w
	if faults.Compresses {
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		defer zip.Close() //nolint:errcheck // the client is gone
		body = zip
	}
	fmt.Fprint(body, p.render(bucket, q, faults))
}

// page is a page of a listing.
type page struct {
	objects []Object
	rolled  []string // common prefixes
	last    string   // the last key of the page, listed or rolled up
	more    bool
}

// page returns the requested page.
func (s *Store) page(bucket string, q url.Values, keys int, faults Faults) (p page) {
	after := q.Get("start-after")
	if token := q.Get("continuation-token"); token != "" {
		after = strings.TrimPrefix(token, "after ")
		if faults.IgnoresTokens {
			after = q.Get("start-after")
		}
	}
	objects := s.Objects(bucket)
	if faults.UTF16 {
		slices.SortFunc(objects, func(a, b Object) int { return slices.Compare(utf16.Encode([]rune(a.Key)), utf16.Encode([]rune(b.Key))) })
	}
	for _, o := range objects {
		if !strings.HasPrefix(o.Key, q.Get("prefix")) || o.Key <= after {
			continue
		}
		if p.more = len(p.objects)+len(p.rolled) == keys; p.more {
			break
		}
		p.last = o.Key
		dir, _, inside := strings.Cut(strings.TrimPrefix(o.Key, q.Get("prefix")), "/")
		if dir = q.Get("prefix") + dir + "/"; inside && faults.RollsUp {
			if !slices.Contains(p.rolled, dir) {
				p.rolled = append(p.rolled, dir)
			}
			continue
		}
		p.objects = append(p.objects, o)
		if faults.ListsTwice && o.Key == q.Get("prefix") {
			p.objects = append(p.objects, o)
		}
	}
	return p
}

// render returns the XML of a page.
func (p page) render(bucket string, q url.Values, faults Faults) string {
	write := func(text string) string { return escaped(text) }
	encoded := q.Get("encoding-type") == "url"
	if encoded && !faults.EchoesEncoding {
		write = encode
	}
	root := faults.Root
	if root == "" {
		root = "ListBucketResult"
	}
	var b strings.Builder
	element := func(name, text string) { fmt.Fprintf(&b, "<%s>%s</%s>", name, text, name) }
	fmt.Fprintf(&b, `%s<%s xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`, xml.Header, root)
	element("Name", bucket)
	element("Prefix", write(q.Get("prefix")))
	if start := q.Get("start-after"); start != "" {
		element("StartAfter", write(start))
	}
	element("KeyCount", strconv.Itoa(len(p.objects)+len(p.rolled)))
	if encoded && !faults.HidesEncoding {
		element("EncodingType", "url")
	}
	if p.more || !faults.EndsUnsaid {
		element("IsTruncated", strconv.FormatBool(p.more))
	}
	if p.more {
		element("NextContinuationToken", escaped("after "+p.last))
	}
	for _, o := range p.objects {
		b.WriteString("<Contents>")
		element("Key", write(o.Key))
		if !faults.BareMarkers || !strings.HasSuffix(o.Key, "/") {
			p.facts(element, o, faults)
		}
		b.WriteString("</Contents>")
	}
	for _, dir := range p.rolled {
		element("CommonPrefixes", "<Prefix>"+write(dir)+"</Prefix>")
	}
	fmt.Fprintf(&b, "</%s>", root)
	return b.String()
}

func (page) facts(element func(name, text string), o Object, faults Faults) {
	element("LastModified", instant(o.Time))
	if faults.NoETags {
		element("ETag", "")
	} else {
		element("ETag", "&quot;"+o.ETag()+"&quot;")
	}
	element("Size", strconv.Itoa(len(o.Body)))
	element("StorageClass", "STANDARD")
}

// encode encodes a key in AWS's way: a space becomes +, and / stays.
func encode(key string) string { return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/") }
