package listxml_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

const (
	head    = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`
	tail    = "</ListBucketResult>"
	ended   = "<IsTruncated>false</IsTruncated>"
	encoded = "<EncodingType>url</EncodingType>"
)

// object is the XML of an object; key and etag are written as they are.
func object(key, etag string) string {
	return "<Contents><Key>" + key + "</Key><LastModified>2024-05-06T07:08:09.123Z</LastModified><ETag>" + etag +
		"</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>"
}

func page(parts ...string) string { return head + strings.Join(parts, "") + tail }

func decode(body string) (listxml.Page, error) {
	var p listxml.Page
	err := p.Decode([]byte(body))
	if err == nil && p.Encoded {
		err = p.Read(listxml.Query)
	}
	return p, err
}

func keys(p listxml.Page) (keys []string) {
	for _, o := range p.Objects {
		keys = append(keys, string(o.Key))
	}
	return keys
}

// TestKeys decodes pages of the usual and of any other form.
func TestKeys(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       []string
	}{
		{"none", page(ended), nil},
		{"plain", page(ended, object("a", "e"), object("b c", "e")), []string{"a", "b c"}},
		{"references", page(ended, object("&lt;&gt;&amp;&quot;&apos;", "e"), object("&#38;&#x26;&#x1F600;&#13;", "e")), []string{`<>&"'`, "&&😀\r"}},
		{"resolved once", page(ended, object("&amp;lt;&amp;#38;", "e")), []string{"&lt;&#38;"}},
		{"beyond ASCII", page(ended, object("é\ue000\U00010000", "e")), []string{"é\ue000\U00010000"}},
		{"encoded", page(encoded, ended, object("a+b%2Bc%2f%C3%A9", "e"), object("+", "e"), object("%00", "e")), []string{"a b+c/é", " ", "\x00"}},
		{"encoded after references", page(encoded, ended, object("a&amp;%26amp;", "e")), []string{"a&&amp;"}},
		{"told last that it is encoded", page(ended, object("a+b", "e"), encoded), []string{"a b"}},
		{"not encoded", page(ended, object("a+b%20", "e")), []string{"a+b%20"}},
		{"encoded otherwise", page("<EncodingType>base64</EncodingType>", ended, object("a+b", "e")), []string{"a+b"}},
		{"no declaration, no namespace", "<ListBucketResult>" + ended + object("a", "e") + tail, []string{"a"}},
		{"CDATA", page(ended, object("<![CDATA[a<&]]>b", "e")), []string{"a<&b"}},
		{"comment", page(ended, "<!-- c -->", object("a<!-- c -->b", "e")), []string{"ab"}},
		{"processing instruction", page(ended, "<?x y?>", object("a", "e")), []string{"a"}},
		{"white space", strings.NewReplacer("><", ">\r\n\t <").Replace(page(ended, object("a", "e"), object("b", "e"))) + "\n", []string{"a", "b"}},
		{"line ends", page(ended, object("a\r\nb\rc", "e")), []string{"a\nb\nc"}},
		{"attributes", strings.NewReplacer("<Key>", `<Key a="b">`, "<Contents>", "<Contents x='>'>").Replace(page(ended, object("a", "e"))), []string{"a"}},
		{
			"prefixed names", strings.NewReplacer("</", "</s3:", "<C", "<s3:C", "<K", "<s3:K", "<L", "<s3:L", "<E", "<s3:E", "<S", "<s3:S", "<I", "<s3:I").
				Replace(`<ListBucketResult xmlns:s3="u">` + ended + object("a", "e") + tail), []string{"a"},
		},
		{"space in tags", strings.NewReplacer("</Key>", "</Key >", "<Size>", "<Size\n>").Replace(page(ended, object("a", "e"))), []string{"a"}},
		{
			"not needed", page("<Name>b</Name><Prefix/><StartAfter></StartAfter><KeyCount>9</KeyCount>", ended,
				"<CommonPrefixes><Prefix>x</Prefix><Key>no</Key></CommonPrefixes>",
				strings.Replace(object("a", "e"), "</Key>", "</Key><Owner><ID>1</ID><DisplayName/><Key><Key>no</Key></Key></Owner>", 1)), []string{"a"},
		},
		{"echoed as XML forbids", page("<Prefix>\x01\xff</Prefix><StartAfter>x&#x1;&</StartAfter>", ended, object("a", "e")), []string{"a"}},
		{"the last of two", page(ended, strings.Replace(object("a", "e"), "</Key>", "</Key><Key>b</Key>", 1)), []string{"b"}},
		{"the last is empty", page(ended, strings.Replace(object("a", "e"), "</Key>", "</Key><Key/>", 1)), []string{""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := decode(tc.body)
			if err != nil || !slices.Equal(keys(p), tc.want) {
				t.Errorf("keys %q, %v, want %q", keys(p), err, tc.want)
			}
		})
	}
}

func TestFacts(t *testing.T) {
	for body, want := range map[string]listxml.Page{
		page(ended):                                                                   {},
		page(encoded, ended):                                                          {Encoded: true},
		page("<IsTruncated>true</IsTruncated>"):                                       {Truncated: true},
		page("<IsTruncated> true\n</IsTruncated>", encoded):                           {Truncated: true, Encoded: true},
		page("<IsTruncated>true</IsTruncated>", ended):                                {},
		page(ended, "<IsTruncated>true</IsTruncated>"):                                {Truncated: true},
		page("<IsTruncated>true</IsTruncated><!-- slow -->"):                          {Truncated: true},
		page("<KeyCount>0</KeyCount>"):                                                {Unsaid: true},
		page("<KeyCount>0</KeyCount><IsTruncated/>"):                                  {Unsaid: true},
		page("<NextContinuationToken>t</NextContinuationToken>"):                      {Unsaid: true, Truncated: true},
		page("<NextContinuationToken>t</NextContinuationToken><!-- slow -->"):         {Unsaid: true, Truncated: true},
		strings.ReplaceAll(page(ended, "<KeyCount>0</KeyCount>"), "Bucket", "Object"): {},
	} {
		p, err := decode(body)
		if err != nil || p.Truncated != want.Truncated || p.Encoded != want.Encoded || p.Unsaid != want.Unsaid || len(p.Objects) > 0 {
			t.Errorf("%s: %+v, %v, want %+v", body, p, err, want)
		}
	}
}

func TestContinuationTokens(t *testing.T) {
	for token, want := range map[string]string{
		"1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=": "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=",
		"a+b%2B":          "a+b%2B", // which no encoding type touches
		"a&amp;b&#61;":    "a&b=",
		"<![CDATA[a&b]]>": "a&b",
		"":                "",
	} {
		p, err := decode(page("<IsTruncated>true</IsTruncated><NextContinuationToken>"+token+"</NextContinuationToken>", encoded))
		if err != nil || !p.Truncated || string(p.Next) != want {
			t.Errorf("token %q: %q, %v, want %q", token, p.Next, err, want)
		}
	}
	if p, err := decode(page(ended, object("a", "e"))); err != nil || len(p.Next) != 0 {
		t.Errorf("no token: %q, %v", p.Next, err)
	}
}

// TestASCII checks which pages are known to have ASCII keys alone.
func TestASCII(t *testing.T) {
	for body, want := range map[string]bool{
		page(ended): true,
		page(ended, object("a", "e"), object("b%2B+", "e")):                    true,
		page(encoded, ended, object("a%2B+", "e")):                             true,
		page(ended, object("a", "e"), object("\u00e9", "e"), object("z", "e")): false,
		page(encoded, ended, object("a", "e"), object("%C3%A9", "e")):          false,
		page(encoded, ended, object("%ff", "e"), object("a", "e")):             false,
		page(ended, object("&#xe9;", "e")):                                     false,
		page(ended, "<!-- odd -->", object("\u00e9", "e")):                     false,
	} {
		p, err := decode(body)
		if err != nil || p.ASCII != want {
			t.Errorf("%s: %v, %v, want %v", body, p.ASCII, err, want)
		}
	}
	var again listxml.Page
	for i, body := range []string{page(ended, object("a", "e")), page(ended, "<!-- odd -->", object("\u00e9", "e"))} {
		if err := again.Decode([]byte(body)); err != nil || again.ASCII != (i == 0) {
			t.Errorf("page %d: %v, %v", i, again.ASCII, err)
		}
	}
}

func TestETags(t *testing.T) {
	for etag, want := range map[string]string{
		"&quot;e-1&quot;": "e-1", `"e-1"`: "e-1", "&#34;e-1&#34;": "e-1", "&#x22;e-1&#x22;": "e-1", "e-1": "e-1", "": "",
		"&quot;&quot;": "", "&quot;": "", `&quot;"e"&quot;`: "e", "&quot;a&amp;b&quot;": "a&b", "&amp;quot;": "&quot;",
		"<![CDATA[\"e\"]]>": "e", "&quot;a&quot;b&quot;": `a"b`,
	} {
		p, err := decode(page(ended, object("k", etag)))
		if err != nil || len(p.Objects) != 1 || string(p.Objects[0].ETag) != want {
			t.Errorf("%s: %+v, %v, want %q", etag, p.Objects, err, want)
		}
	}
}

func TestSizesAndTimes(t *testing.T) {
	for _, tc := range []struct {
		size, time string
		bytes      int64
		at         string // RFC 3339; empty: the page is ErrBadKey
	}{
		{"0", "2024-02-29T23:59:59Z", 0, "2024-02-29T23:59:59Z"},
		{"5497558138880", "2006-01-02T15:04:05.000Z", 5497558138880, "2006-01-02T15:04:05Z"},
		{"9223372036854775807", "1970-01-01T00:00:00.123456789Z", 9223372036854775807, "1970-01-01T00:00:00.123456789Z"},
		{" 12 ", "2006-01-02T15:04:05.1Z", 12, "2006-01-02T15:04:05.1Z"},
		{"1", "1969-12-31T23:59:59.5Z", 1, "1969-12-31T23:59:59.5Z"},
		{"1", "2006-01-02T15:04:05+02:00", 1, "2006-01-02T13:04:05Z"},
		{"1", "2006-01-02T15:04:05.25", 1, "2006-01-02T15:04:05.25Z"},
		{"1", "2261-12-31T00:00:00Z", 1, "2261-12-31T00:00:00Z"},
		{"1", "1678-01-01T00:00:00Z", 1, "1678-01-01T00:00:00Z"},
		{"1", "0001-01-01T00:00:00Z", 0, ""},
		{"1", "2262-04-11T23:47:16.854775807Z", 1, "2262-04-11T23:47:16.854775807Z"},
		{"1", "2262-04-11T23:47:16.854775808Z", 0, ""},
		{"1", "2400-01-01T00:00:00Z", 0, ""},
		{"1", "2023-02-29T00:00:00Z", 0, ""},
		{"1", "2023-13-01T00:00:00Z", 0, ""},
		{"1", "2023-01-01T24:00:00Z", 0, ""},
		{"1", "2023-01-01 00:00:00Z", 0, ""},
		{"1", "yesterday", 0, ""},
		{"-1", "2006-01-02T15:04:05Z", 0, ""},
		{"1e3", "2006-01-02T15:04:05Z", 0, ""},
		{"9223372036854775808", "2006-01-02T15:04:05Z", 0, ""},
	} {
		body := strings.NewReplacer("7</Size>", tc.size+"</Size>", "2024-05-06T07:08:09.123Z", tc.time).Replace(page(ended, object("the key", "e")))
		p, err := decode(body)
		if tc.at == "" {
			if !errors.Is(err, objectstore.ErrBadKey) || !strings.Contains(err.Error(), `"the key"`) {
				t.Errorf("size %q, time %q: %v, want ErrBadKey that names the key", tc.size, tc.time, err)
			}
			continue
		}
		want, _ := time.Parse(time.RFC3339Nano, tc.at)
		if err != nil || p.Objects[0].Size != tc.bytes || p.Objects[0].ModTime != want.UnixNano() {
			t.Errorf("size %q, time %q: %+v, %v", tc.size, tc.time, p.Objects, err)
		}
	}
}

// TestEveryDay compares times with those of package time.
func TestEveryDay(t *testing.T) {
	end := time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := time.Date(1678, 1, 1, 1, 2, 3, 4, time.UTC); at.Before(end); at = at.AddDate(0, 0, 1) {
		text := at.Format(time.RFC3339Nano)
		p, err := decode(strings.ReplaceAll(page(ended, object("k", "e")), "2024-05-06T07:08:09.123Z", text))
		if err != nil || p.Objects[0].ModTime != at.UnixNano() {
			t.Fatalf("%s is read as %+v, %v, want %d", text, p.Objects, err, at.UnixNano())
		}
	}
}

// TestRefused decodes what is no page. permanent says that another try would
// bring the same.
func TestRefused(t *testing.T) {
	whole := page(ended, object("k", "e"))
	for _, tc := range []struct {
		name, body, says string
		permanent        bool
	}{
		{name: "nothing", body: "", says: "EOF"},
		{name: "only space", body: " \n", says: "EOF"},
		{name: "other XML", body: "<html></html>", says: "<html>"},
		{name: "no IsTruncated and nothing else", body: page(), says: "IsTruncated"},
		{name: "a listing of versions", body: "<ListVersionsResult>" + ended + "<Version><Key>k</Key></Version></ListVersionsResult>", says: "<ListVersionsResult>"},
		{name: "a listing of uploads", body: "<ListMultipartUploadsResult>" + ended + "<Upload><Key>k</Key></Upload></ListMultipartUploadsResult>", says: "<ListMultipartUploadsResult>"},
		{name: "IsTruncated is neither", body: page("<IsTruncated>maybe</IsTruncated>"), says: "maybe"},
		{name: "IsTruncated is empty", body: page("<IsTruncated/>"), says: "IsTruncated"},
		{name: "no end", body: strings.TrimSuffix(whole, tail), says: "EOF"},
		{name: "another end", body: strings.TrimSuffix(whole, tail) + "</ListBucketResults>", says: "closed by"},
		{name: "more after the end", body: whole + whole, says: "more follows"},
		{name: "text after the end", body: whole + "x", says: "more follows"},
		{name: "ends that cross", body: page(ended, "<A><B></A></B>"), says: "closed by"},
		{name: "unknown reference", body: page(ended, object("&nbsp;", "e")), says: "entity"},
		{name: "reference without end", body: page(ended, object("&amp", "e")), says: "entity"},
		{name: "raw control character", body: page(ended, object("a\x01", "e")), says: "U+0001"},
		{name: "control character", body: page(ended, object("a&#1;", "e")), says: "U+0001"},
		{name: "no rune", body: page(ended, object("a\uffff", "e")), says: "U+FFFF"},
		{name: "no UTF-8", body: page(ended, object("a\xc3", "e")), says: "UTF-8"},
		{name: "bad escape", body: page(encoded, ended, object("a%2", "e")), says: `"a%2"`, permanent: true},
		{name: "worse escape", body: page(encoded, ended, object("a%2gb", "e")), says: `"a%2gb"`, permanent: true},
		{name: "bad escape after good ones", body: page(encoded, ended, object("a+%41%zz", "e")), says: `"a A%zz"`, permanent: true},
		{name: "bad size of an encoded key", body: page(encoded, ended, strings.Replace(object("a+%41", "e"), ">7<", ">x<", 1)), says: `"a A"`, permanent: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := decode(tc.body)
			if err == nil || !strings.Contains(err.Error(), tc.says) || objectstore.Permanent(err) != tc.permanent {
				t.Errorf("%d objects, %v, want an error that says %q, permanent: %t", len(p.Objects), err, tc.says, tc.permanent)
			}
		})
	}
	for n := range len(whole) {
		if p, err := decode(whole[:n]); err == nil || objectstore.Permanent(err) {
			t.Fatalf("cut after %d bytes: %d objects, %v, want a transient error", n, len(p.Objects), err)
		}
	}
}

func TestErrorInsteadOfPage(t *testing.T) {
	_, err := decode(`<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>`)
	var e *listxml.Error
	if !errors.As(err, &e) || *e != (listxml.Error{Code: "SlowDown", Message: "Reduce your request rate."}) {
		t.Errorf("%v, want the store's own words", err)
	}
}

// TestReuse decodes into a page that holds another, also one that was refused.
func TestReuse(t *testing.T) {
	var p listxml.Page
	for i, body := range []string{
		page("<IsTruncated>true</IsTruncated>", encoded, object("a", "e"), object("b", "e")),
		page(ended), page(ended, object("c&amp;", "e")), "<html/>", page(ended, object("d", "<!-- slow -->")),
	} {
		err := p.Decode([]byte(body))
		want := [][]string{{"a", "b"}, nil, {"c&"}, nil, {"d"}}[i]
		if (err != nil) != (i == 3) || !slices.Equal(keys(p), want) || (p.Truncated || p.Encoded) != (i == 0) {
			t.Errorf("page %d: %+v, %v, want %q", i, p, err, want)
		}
	}
}

// usual returns a page as AWS sends it, with keys of 73 bytes.
func usual(n int) []byte {
	var b strings.Builder
	b.WriteString(head + "<Name>bucket</Name><Prefix>data/</Prefix><StartAfter>data/x</StartAfter><KeyCount>" + fmt.Sprint(n) +
		"</KeyCount><MaxKeys>1000</MaxKeys>" + encoded + "<IsTruncated>true</IsTruncated>")
	for i := range n {
		fmt.Fprintf(&b, "<Contents><Key>data/date%%3D2024-05-06/hour=07/part-%08d-0d1e2f3a-4b5c-6d7e-8f90-a1b2c3d4e</Key>"+
			"<LastModified>2024-05-06T07:08:09.000Z</LastModified><ETag>&quot;%032x&quot;</ETag>"+
			"<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"+
			"<Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>", i, i, 1000+i)
	}
	b.WriteString(tail)
	return []byte(b.String())
}

// TestBare checks which objects of a page lack their size or time.
func TestBare(t *testing.T) {
	const bare = "<Contents><Key>d/</Key></Contents>"
	for _, body := range []string{
		page(ended, bare, object("d/k", "e"), "<Contents><Key>d/m</Key><Size>7</Size></Contents>"),
		page(ended, bare, object("d/k", "e"), "<Contents><Key>d/m</Key><LastModified/><Size>7</Size></Contents>"),
		page(ended, bare, object("d/k", "e"), "<Contents><Key>d/m</Key><LastModified>2024-05-06T07:08:09Z</LastModified><Size></Size></Contents>"),
	} {
		p, err := decode(body)
		if err != nil || !slices.Equal(p.Bare, []int{0, 2}) || !slices.Equal(keys(p), []string{"d/", "d/k", "d/m"}) {
			t.Errorf("%s: %v of %q are bare, %v", body, p.Bare, keys(p), err)
		}
	}
}

// TestSaid reads what pages repeat of their requests.
func TestSaid(t *testing.T) {
	const said = "<Name>b</Name><Prefix>a&amp;%2B</Prefix><StartAfter>&#x1;</StartAfter><Delimiter>/</Delimiter><KeyCount>3</KeyCount>" +
		"<CommonPrefixes><Prefix>d&amp;/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>e/</Prefix></CommonPrefixes>"
	want := listxml.Said{
		Bucket: []byte("b"), Prefix: []byte("a&%2B"), StartAfter: []byte("&#x1;"), Delimiter: []byte("/"), KeyCount: 3, RolledUp: []byte("d&/"),
	}
	p, err := decode(page(said, ended))
	if err != nil || !reflect.DeepEqual(p.Said, want) {
		t.Errorf("%+v, %v, want %+v", p.Said, err, want)
	}
	want.StartAfter = []byte("x")
	p, err = decode(page(strings.Replace(said, "&#x1;", "x", 1), "<!-- slow -->", ended))
	if err != nil || !reflect.DeepEqual(p.Said, want) {
		t.Errorf("%+v, %v, want %+v", p.Said, err, want)
	}
	for _, body := range []string{page(ended), page(ended, "<!-- slow -->"), page(ended, "<KeyCount>x</KeyCount><CommonPrefixes></CommonPrefixes>")} {
		p, err := decode(body)
		if s := p.Said; err != nil || s.KeyCount != -1 || len(s.Bucket)+len(s.Prefix)+len(s.StartAfter)+len(s.Delimiter)+len(s.RolledUp) > 0 {
			t.Errorf("%s: %+v, %v, want nothing", body, s, err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	body := usual(1000)
	scratch := make([]byte, len(body))
	var p listxml.Page
	if n := testing.AllocsPerRun(5, func() {
		copy(scratch, body)
		if err := errors.Join(p.Decode(scratch), p.Read(listxml.Query)); err != nil || len(p.Objects) != 1000 || !p.Agree(listxml.Escaped|listxml.Query) {
			t.Errorf("%d objects, %v", len(p.Objects), err)
		}
	}); n > 5 {
		t.Errorf("%v allocations for a page of 1000 keys, want a few", n)
	}
}
