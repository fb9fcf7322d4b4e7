// Package samltest is a SAML identity provider for tests, which also makes the responses that
// attackers make.
package samltest

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// SignOn is where a Provider's metadata says that requests are sent.
const SignOn = "https://idp.example.com/sso"

// Provider is an identity provider. It is immutable.
type Provider struct {
	entityID string
	key      *rsa.PrivateKey
	cert     []byte // DER
}

// New returns a provider with a key of its own. Its certificate is valid for a day before and
// after now.
func New(entityID string, now time.Time) *Provider {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp.example.com"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	return &Provider{entityID, key, cert}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Metadata returns the provider's metadata, in XML.
func (p *Provider) Metadata() string {
	return fmt.Sprintf(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID=%q>
  <IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>
      <X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
    <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location=%q/>
  </IDPSSODescriptor>
</EntityDescriptor>`, p.entityID, base64.StdEncoding.EncodeToString(p.cert), SignOn)
}

// Login is what a provider says about one login.
type Login struct {
	Request   string // whose response it is
	ACS       string // destination of the response, and recipient of the assertion
	Audience  string
	NameID    string
	Format    string              // of NameID; "": unspecified
	Values    map[string][]string // of attributes
	Now       time.Time
	Until     time.Time // the assertion is valid before
	SessionTo time.Time // the session lasts until; zero: not said
}

// Answer returns what a provider says about the login that a location asks for, but for the user,
// from now on for five minutes.
func Answer(location string, now time.Time) Login {
	var request struct {
		ID     string `xml:",attr"`
		ACS    string `xml:"AssertionConsumerServiceURL,attr"`
		Issuer string
	}
	u, err := url.Parse(location)
	must(err)
	deflated, err := base64.StdEncoding.DecodeString(u.Query().Get("SAMLRequest"))
	must(err)
	document, err := io.ReadAll(flate.NewReader(bytes.NewReader(deflated)))
	must(err)
	must(xml.Unmarshal(document, &request))
	return Login{Request: request.ID, ACS: request.ACS, Audience: request.Issuer, Now: now, Until: now.Add(5 * time.Minute)}
}

// response returns the response of a login, without a signature.
func (p *Provider) response(l Login) *etree.Element {
	at := l.Now.UTC().Format(time.RFC3339)
	doc := etree.NewDocument()
	must(doc.ReadFromString(fmt.Sprintf(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="response-%[1]s" Version="2.0" IssueInstant=%[2]q Destination=%[3]q InResponseTo=%[4]q>`+
		`<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">%[5]s</saml:Issuer>`+
		`<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>`+
		`</samlp:Response>`, rand.Text(), at, l.ACS, l.Request, p.entityID)))
	doc.Root().AddChild(p.assertion(l))
	return doc.Root()
}

func (p *Provider) assertion(l Login) *etree.Element {
	at, until := l.Now.UTC().Format(time.RFC3339), l.Until.UTC().Format(time.RFC3339)
	session := ""
	if !l.SessionTo.IsZero() {
		session = fmt.Sprintf(" SessionNotOnOrAfter=%q", l.SessionTo.UTC().Format(time.RFC3339))
	}
	format := l.Format
	if format == "" {
		format = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	}
	doc := etree.NewDocument()
	must(doc.ReadFromString(fmt.Sprintf(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="assertion-%[1]s" Version="2.0" IssueInstant=%[2]q>`+
		`<saml:Issuer>%[3]s</saml:Issuer>`+
		`<saml:Subject><saml:NameID Format=%[4]q>%[5]s</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">`+
		`<saml:SubjectConfirmationData InResponseTo=%[6]q Recipient=%[7]q NotOnOrAfter=%[8]q/></saml:SubjectConfirmation></saml:Subject>`+
		`<saml:Conditions NotBefore=%[2]q NotOnOrAfter=%[8]q><saml:AudienceRestriction><saml:Audience>%[9]s</saml:Audience></saml:AudienceRestriction></saml:Conditions>`+
		`<saml:AuthnStatement AuthnInstant=%[2]q%[10]s><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`+
		`%[11]s</saml:Assertion>`,
		rand.Text(), at, p.entityID, format, l.NameID, l.Request, l.ACS, until, l.Audience, session, attributes(l.Values))))
	return doc.Root()
}

func attributes(values map[string][]string) string {
	if len(values) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("<saml:AttributeStatement>")
	for name, all := range values {
		fmt.Fprintf(&b, "<saml:Attribute Name=%q>", name)
		for _, v := range all {
			fmt.Fprintf(&b, "<saml:AttributeValue>%s</saml:AttributeValue>", v)
		}
		b.WriteString("</saml:Attribute>")
	}
	b.WriteString("</saml:AttributeStatement>")
	return b.String()
}

// Respond returns the response of a login, in XML. Its assertion is signed.
func (p *Provider) Respond(l Login) string {
	r := p.response(l)
	p.sign(assertionOf(r))
	return text(r)
}

// RespondWhole returns the response of a login, in XML. It is signed as a whole.
func (p *Provider) RespondWhole(l Login) string {
	r := p.response(l)
	p.sign(r)
	return text(r)
}

// RespondTwice returns the response of a login, in XML. Its assertion is signed, and then the
// whole.
func (p *Provider) RespondTwice(l Login) string {
	r := p.response(l)
	p.sign(assertionOf(r))
	p.sign(r)
	return text(r)
}

// Encode returns a response as a form of the POST binding carries it.
func Encode(response string) string { return base64.StdEncoding.EncodeToString([]byte(response)) }

func text(root *etree.Element) string {
	doc := etree.NewDocument()
	doc.SetRoot(root.Copy())
	s, err := doc.WriteToString()
	must(err)
	return s
}

func assertionOf(response *etree.Element) *etree.Element { return response.SelectElement("Assertion") }

func signatureOf(el *etree.Element) *etree.Element { return el.SelectElement("Signature") }

// sign signs an element with the provider's key, and puts the signature after its issuer.
func (p *Provider) sign(el *etree.Element) { p.signBy(dsig.RSASHA256SignatureMethod, el) }

func (p *Provider) signBy(method string, el *etree.Element) {
	ctx, err := dsig.NewSigningContext(p.key, [][]byte{p.cert})
	must(err)
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	must(ctx.SetSignatureMethod(method))
	signature, err := ctx.ConstructSignature(el, true)
	must(err)
	el.InsertChildAt(1, signature)
}
