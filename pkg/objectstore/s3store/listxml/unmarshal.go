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
	Contents              []contents
	Code                  string
	Message               string
}

type contents struct {
	Key, LastModified, ETag, Size string
}

// unmarshal reads any page; it leaves body as it is.
func (p *Page) unmarshal(body []byte) error {
	p.reset()
	var doc document
	if err := doc.read(body); err != nil {
		return fmt.Errorf("read a page of XML: %w", err)
	}
	switch doc.XMLName.Local {
	case "ListBucketResult":
	case "Error":
		return &Error{Code: doc.Code, Message: doc.Message}
	default:
		return fmt.Errorf("the answer is no page of a listing but <%s>", doc.XMLName.Local)
	}
	// Every store says whether there is more; an empty answer must not pass for
	// an empty bucket.
	var err error
	if p.Truncated, err = strconv.ParseBool(strings.TrimSpace(doc.IsTruncated)); err != nil {
		return fmt.Errorf("the answer is no listing: IsTruncated is %q", doc.IsTruncated)
	}
	p.Encoded = doc.EncodingType == "url"
	p.Next = []byte(doc.NextContinuationToken)
	for _, c := range doc.Contents {
		o, err := c.object()
		if err != nil {
			return err
		}
		p.Objects = append(p.Objects, o)
	}
	return nil
}

// read decodes a document that is the only one in body.
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

func (c *contents) object() (objectstore.Listed, error) {
	if c.Size == "" || c.LastModified == "" {
		return objectstore.Listed{}, fmt.Errorf("key %q is listed without its size or time: %w", c.Key, objectstore.ErrBadListing)
	}
	size, err := strconv.ParseInt(strings.TrimSpace(c.Size), 10, 64)
	if err != nil || size < 0 {
		return objectstore.Listed{}, fmt.Errorf("key %q is listed with the size %q: %w", c.Key, c.Size, objectstore.ErrBadListing)
	}
	t, err := anyTime(strings.TrimSpace(c.LastModified))
	if err != nil {
		return objectstore.Listed{}, fmt.Errorf("key %q is listed with the time %q: %w", c.Key, c.LastModified, objectstore.ErrBadListing)
	}
	return objectstore.Listed{
		Key:     []byte(c.Key),
		ETag:    bytes.Trim([]byte(c.ETag), `"`),
		Size:    size,
		ModTime: t.UnixNano(),
	}, nil
}

// anyTime parses a time of any form that stores are known to write. One without
// a zone is in UTC.
func anyTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", s)
	}
	t = t.UTC()
	if err == nil && (t.Year() < minYear || t.Year() > maxYear) {
		err = errors.New("out of range")
	}
	return t, err
}
