package listxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// document is a page, or an error, of any form that XML allows.
type document struct {
	XMLName               xml.Name
	IsTruncated           string
	EncodingType          string
	NextContinuationToken string
	Name                  string
	Prefix                string
	StartAfter            string
	Delimiter             string
	KeyCount              string
	CommonPrefixes        []struct{ Prefix string }
	Contents              []contents
	Code                  string
	Message               string
}

type contents struct {
	Key, LastModified, ETag, Size string
}

// unmarshal decodes a page of any form. It does not change body.
func (p *Page) unmarshal(body []byte) error {
	p.reset()
	var doc document
	if err := doc.read(body); err != nil {
		return fmt.Errorf("read a page of XML: %w", err)
	}
	switch {
	case doc.XMLName.Local == "Error":
		return &Error{Code: doc.Code, Message: doc.Message}
	case !doc.isPage():
		return fmt.Errorf("the answer is no page of a listing but <%s>", doc.XMLName.Local)
	}
	if text := strings.TrimSpace(doc.IsTruncated); text == "" {
		p.Unsaid = true
	} else {
		var err error
		if p.Truncated, err = strconv.ParseBool(text); err != nil {
			return fmt.Errorf("the answer is no listing: IsTruncated is %q", doc.IsTruncated)
		}
	}
	p.Encoded = doc.EncodingType == "url"
	p.Next = []byte(doc.NextContinuationToken)
	p.Said = doc.said()
	for i, c := range doc.Contents {
		o, whole, err := c.object(p.Encoded)
		if err != nil {
			return err
		}
		if !whole {
			p.Bare = append(p.Bare, i)
		}
		p.Objects = append(p.Objects, o)
	}
	return nil
}

// isPage reports whether a document is a page. Some stores give its root another name,
// which SDKs do not look at. But listings of versions, parts and uploads have IsTruncated,
// too.
func (doc *document) isPage() bool {
	return doc.XMLName.Local == "ListBucketResult" ||
		doc.IsTruncated != "" && (len(doc.Contents) > 0 || doc.KeyCount != "")
}

func (doc *document) said() Said {
	s := Said{
		Bucket: []byte(doc.Name), Prefix: []byte(doc.Prefix), StartAfter: []byte(doc.StartAfter), Delimiter: []byte(doc.Delimiter),
	}
	s.count([]byte(doc.KeyCount))
	for _, p := range doc.CommonPrefixes {
		if len(s.RolledUp) == 0 {
			s.RolledUp = []byte(p.Prefix)
		}
	}
	return s
}

// read decodes the document in body, which must hold no other.
func (doc *document) read(body []byte) error {
	d := xml.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(doc); err != nil {
		return err
	}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if text, ok := token.(xml.CharData); ok && len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if _, ok := token.(xml.Comment); !ok {
			return errors.New("more follows the end of the page")
		}
	}
}

// object returns the object; whole is false if it has no size or time.
func (c *contents) object(encoded bool) (o objectstore.Listed, whole bool, err error) {
	o = objectstore.Listed{Key: []byte(c.Key), ETag: bytes.Trim([]byte(c.ETag), `"`)}
	if c.Size == "" || c.LastModified == "" {
		return o, false, nil
	}
	if o.Size, err = strconv.ParseInt(strings.TrimSpace(c.Size), 10, 64); err != nil || o.Size < 0 {
		return o, false, fmt.Errorf("key %q is listed with the size %q: %w", c.name(encoded), c.Size, objectstore.ErrBadKey)
	}
	t, err := anyTime(strings.TrimSpace(c.LastModified))
	if err != nil {
		return o, false, fmt.Errorf("key %q is listed with the time %q: %w", c.name(encoded), c.LastModified, objectstore.ErrBadKey)
	}
	o.ModTime = t.UnixNano()
	return o, true, nil
}

// name returns the key for an error, without URL encoding.
func (c *contents) name(encoded bool) string {
	if key, ok := ReadText([]byte(c.Key), Query); ok && encoded {
		return key
	}
	return c.Key
}

// anyTime parses a time of any form that stores are known to send. A time without a zone is
// in UTC.
func anyTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", s)
	}
	if err == nil && !objectstore.TimeFits(t) {
		err = errors.New("out of range")
	}
	return t.UTC(), err
}
