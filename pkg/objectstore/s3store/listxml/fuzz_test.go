package listxml

import (
	"bytes"
	"encoding/xml"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// plainTag matches tags as the scanner takes them.
var plainTag = regexp.MustCompile(`<(/?)([A-Za-z]+)(/?)>`)

// needed are the elements whose text the scanner reads, by their paths.
var needed = []string{
	"ListBucketResult IsTruncated", "ListBucketResult EncodingType", "ListBucketResult Contents Key",
	"ListBucketResult NextContinuationToken", "ListBucketResult Contents LastModified", "ListBucketResult Contents ETag", "ListBucketResult Contents Size",
}

// readable returns the page without the text that the scanner does not look at:
// of elements that hold nothing else and are not needed.
func readable(body []byte) []byte {
	var out []byte
	var path []string
	if first := plainTag.Find(body); string(first) != "<ListBucketResult>" {
		path = append(path, "ListBucketResult") // it has a namespace, and so is no plain tag
	}
	at, leaf := 0, false
	for _, m := range plainTag.FindAllSubmatchIndex(body, -1) {
		text, end, empty := body[at:m[0]], m[2] < m[3], m[6] < m[7]
		if !end || !leaf || bytes.IndexByte(text, '<') >= 0 || slices.Contains(needed, strings.Join(path, " ")) {
			out = append(out, text...)
		}
		out, at = append(out, body[m[0]:m[1]]...), m[1]
		switch {
		case end && len(path) > 0:
			path = path[:len(path)-1]
		case !end && !empty:
			path = append(path, string(body[m[4]:m[5]]))
		}
		leaf = !end && !empty
	}
	return append(out, body[at:]...)
}

func ascii(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// FuzzScan holds the scanner against encoding/xml: what it can read, both read
// the same.
func FuzzScan(f *testing.F) {
	for _, body := range []string{
		`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="u"><IsTruncated>false</IsTruncated><Prefix/><Owner><ID>i</ID></Owner>` +
			`<Contents><Key>a&amp;&#38;&#x1F600;é</Key><LastModified>2024-05-06T07:08:09.123Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></Contents></ListBucketResult>`,
		"<ListBucketResult>\n<EncodingType>url</EncodingType>\n<IsTruncated>true</IsTruncated>\n<Contents><Size>7</Size><Key>a%2B+&lt;]]&gt;</Key>" +
			`<ETag>&#x22;"e</ETag><Owner><Key>x</Key><DisplayName/></Owner><LastModified>1969-12-31T23:59:59Z</LastModified></Contents> </ListBucketResult> `,
		`<?xml version='1.0'?><ListBucketResult><Contents><Key></Key><Key>b</Key><LastModified>2024-02-29T07:08:09Z</LastModified><Size>00</Size></Contents>` +
			"<StartAfter>\x01&</StartAfter><IsTruncated>true</IsTruncated><IsTruncated>false</IsTruncated></ListBucketResult>",
		`<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key><![CDATA[x]]></Key></Contents><Key/></ListBucketResult>`,
		`<Error><Code>SlowDown</Code></Error>`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		twin := bytes.Clone(readable(body))
		var got, want Page
		before := bytes.Clone(body)
		if !got.scan(body) {
			if !bytes.Equal(body, before) {
				t.Fatalf("the scanner changed a page that it left to encoding/xml:\n%q\n%q", before, body)
			}
			return
		}
		if err := want.unmarshal(twin); err != nil {
			t.Fatalf("the scanner reads what encoding/xml does not: %v\n%q", err, before)
		}
		expectScanned(t, &got, &want)
	})
}

// expectScanned compares a page of the scanner with that of encoding/xml.
func expectScanned(t *testing.T, got, want *Page) {
	t.Helper()
	if got.Unsaid != want.Unsaid || !slices.Equal(got.Bare, want.Bare) || string(got.Next) != string(want.Next) ||
		got.Truncated != want.Truncated || got.Encoded != want.Encoded || len(got.Objects) != len(want.Objects) {
		t.Fatalf("scanned %+v, want %+v", got, want)
	}
	for i, o := range got.Objects {
		if got.ASCII && !ascii(string(o.Key)) {
			t.Fatalf("key %q is taken for ASCII", o.Key)
		}
		w := want.Objects[i]
		if !bytes.Equal(o.Key, w.Key) || !bytes.Equal(o.ETag, w.ETag) || o.Size != w.Size || o.ModTime != w.ModTime {
			t.Fatalf("object %d: scanned %+v, want %+v", i, o.Object(), w.Object())
		}
	}
}

// FuzzText holds keys and ETags of any text, escaped as encoding/xml does it or
// not at all, against encoding/xml.
func FuzzText(f *testing.F) {
	for _, text := range []string{"a", "a&b", "&#38;", "&lt;", "\"", "\r\n", "\t", "é\U00010000", "\uffff", "\xff", "]]>", "%41+", "&#xd800;", "&#0000000000065;", "&quot;x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var escaped strings.Builder
		if err := xml.EscapeText(&escaped, []byte(text)); err != nil {
			t.Fatal(err)
		}
		for _, raw := range []string{text, escaped.String()} {
			body := "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>" + raw + "</Key><LastModified>2024-05-06T07:08:09Z</LastModified><ETag>" + raw +
				"</ETag><Size>1</Size></Contents></ListBucketResult>"
			var got, want Page
			err, wantErr := got.Decode([]byte(body)), want.unmarshal([]byte(body))
			if (err != nil) != (wantErr != nil) {
				t.Fatalf("%q: %v, want %v", raw, err, wantErr)
			}
			if !slices.EqualFunc(got.Objects, want.Objects, func(a, b objectstore.Listed) bool {
				return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.ETag, b.ETag)
			}) {
				t.Fatalf("%q: %+v, want %+v", raw, got.Objects, want.Objects)
			}
		}
	})
}

// FuzzQuery holds the decoding of keys against net/url.
func FuzzQuery(f *testing.F) {
	for _, key := range []string{"", "a", "a+b", "%41", "%4", "%", "%zz", "a%2B%2bc", "+%20+"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		want, wantErr := url.QueryUnescape(key)
		got := []byte(key)
		all, err := unescape(&got, Query)
		if ascii(key) && err == nil && ascii(string(got)) != (all < utf8.RuneSelf) {
			t.Fatalf("%q: of the bits %x comes %q", key, all, got)
		}
		if (err != nil) != (wantErr != nil) || err == nil && string(got) != want {
			t.Fatalf("%q: %q, %v, want %q, %v", key, got, err, want, wantErr)
		}
	})
}
