package samllogin

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a response.
const (
	maxDepth    = 32
	maxElements = 2000
)

// Namespaces of SAML and of signatures.
const (
	protocol   = "urn:oasis:names:tc:SAML:2.0:protocol"
	assertion  = "urn:oasis:names:tc:SAML:2.0:assertion"
	signatures = "http://www.w3.org/2000/09/xmldsig#"
)

// examine checks the form of a response, before its signature is checked, and returns the ID of
// the request that it claims to be for. A response that passes has exactly one assertion, and no
// element whose meaning depends on who reads it.
func examine(document []byte) (request string, err error) {
	d := xml.NewDecoder(bytes.NewReader(document))
	var f form
	for {
		start := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = f.take(token, start == 0)
		}
		if err != nil {
			return "", err
		}
	}
	if f.assertions != 1 {
		return "", fmt.Errorf("%d assertions, want one", f.assertions)
	}
	return f.request, nil
}

// form is what was seen of a response.
type form struct {
	open       []element // from the root to the element that is being read
	elements   int
	assertions int
	request    string
}

// element is an element that is being read.
type element struct {
	name     xml.Name
	children map[xml.Name]bool // of SAML, and signatures
}

func (f *form) take(token xml.Token, first bool) error {
	switch t := token.(type) {
	case xml.StartElement:
		return f.enter(t)
	case xml.EndElement:
		f.open = f.open[:len(f.open)-1]
	case xml.CharData:
		if len(f.open) == 0 && len(bytes.TrimSpace(t)) > 0 {
			return errors.New("text outside of the response")
		}
	case xml.ProcInst:
		if !first || t.Target != "xml" {
			return errors.New("a processing instruction")
		}
	case xml.Comment: // it is not signed, and splits texts
		return errors.New("a comment")
	case xml.Directive:
		return errors.New("a document type or entity")
	}
	return nil
}

func (f *form) enter(t xml.StartElement) error {
	f.elements++
	switch {
	case f.elements > maxElements:
		return fmt.Errorf("more than %d elements", maxElements)
	case len(f.open) == maxDepth:
		return fmt.Errorf("elements more than %d deep", maxDepth)
	case strings.HasPrefix(t.Name.Local, "Encrypted"):
		return errors.New("encrypted elements: they are not supported")
	}
	var err error
	if len(f.open) == 0 {
		err = f.root(t)
	} else {
		err = f.child(t.Name)
	}
	f.open = append(f.open, element{name: t.Name})
	return err
}

func (f *form) root(t xml.StartElement) error {
	if f.elements > 1 || t.Name != (xml.Name{Space: protocol, Local: "Response"}) {
		return errors.New("it is not one response")
	}
	for _, a := range t.Attr {
		if a.Name == (xml.Name{Local: "InResponseTo"}) {
			f.request = a.Value
		}
	}
	return nil
}

// repeated are the elements of SAML that their parent may have several times.
var repeated = map[string]bool{
	"Attribute": true, "AttributeStatement": true, "AttributeValue": true, "Audience": true, "AudienceRestriction": true,
	"AuthenticatingAuthority": true, "AuthnStatement": true,
}

func (f *form) child(name xml.Name) error {
	parent := &f.open[len(f.open)-1]
	if name == (xml.Name{Space: assertion, Local: "Assertion"}) {
		f.assertions++
		if len(f.open) > 1 {
			return errors.New("an assertion within another element")
		}
	}
	ofSAML := name.Space == protocol || name.Space == assertion
	if !ofSAML && name != (xml.Name{Space: signatures, Local: "Signature"}) || repeated[name.Local] {
		return nil
	}
	if parent.children[name] { // of which readers take the first, or the last
		return fmt.Errorf("several elements %s in one", name.Local)
	}
	if parent.children == nil {
		parent.children = make(map[xml.Name]bool)
	}
	parent.children[name] = true
	return nil
}
