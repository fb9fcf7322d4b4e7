package samltest

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// forged is the user that forgeries claim to be, where their login names another one.
const forged = "mallory"

// Forgery is a response that must not be accepted.
type Forgery struct {
	Name string
	Make func(p *Provider, l Login) string
}

// Forgeries returns responses that attackers make of those of a provider, and what a provider
// says that does not suffice for a login.
func Forgeries() []Forgery {
	return append(append(append(append(wrappings(), signatures()...), statements()...), times()...), documents()...)
}

// edit returns a forgery that changes a response before its assertion is signed.
func edit(name string, change func(l *Login, response, assertion *etree.Element)) Forgery {
	return Forgery{name, func(p *Provider, l Login) string {
		r := p.response(l)
		a := assertionOf(r)
		change(&l, r, a)
		p.sign(a)
		return text(r)
	}}
}

// change returns a forgery that changes a login.
func change(name string, f func(l *Login)) Forgery {
	return Forgery{name, func(p *Provider, l Login) string {
		f(&l)
		return p.Respond(l)
	}}
}

// after returns a forgery that changes a response whose assertion is signed.
func after(name string, f func(response, assertion *etree.Element)) Forgery {
	return Forgery{name, func(p *Provider, l Login) string {
		r := p.response(l)
		a := assertionOf(r)
		p.sign(a)
		f(r, a)
		return text(r)
	}}
}

// forge returns a copy of an element that says that forged logged in, with an ID of its own.
func forge(el *etree.Element) *etree.Element {
	evil := el.Copy()
	evil.CreateAttr("ID", "forged")
	for _, name := range evil.FindElements(".//NameID") {
		name.SetText(forged)
	}
	for _, value := range evil.FindElements(".//AttributeValue") {
		value.SetText(forged)
	}
	return evil
}

// without returns a copy of an element without its signature.
func without(el *etree.Element) *etree.Element {
	c := el.Copy()
	c.RemoveChild(signatureOf(c))
	return c
}

// whole returns a forgery of a response that is signed as a whole.
func whole(name string, f func(signed *etree.Element) *etree.Element) Forgery {
	return Forgery{name, func(p *Provider, l Login) string {
		r := p.response(l)
		p.sign(r)
		return text(f(r))
	}}
}

// wrappings are the eight ways to wrap a signed element that are known by number, and others.
func wrappings() []Forgery {
	return []Forgery{
		whole("wrapping 1: the signed response within the signature of another", func(r *etree.Element) *etree.Element {
			evil := forge(r)
			signatureOf(evil).AddChild(without(r))
			return evil
		}),
		whole("wrapping 2: the signed response before the signature of another", func(r *etree.Element) *etree.Element {
			evil := forge(r)
			evil.InsertChildAt(1, without(r))
			return evil
		}),
		after("wrapping 3: another assertion before the signed one", func(r, a *etree.Element) {
			r.InsertChildAt(a.Index(), without(forge(a)))
		}),
		after("wrapping 4: the signed assertion within another", func(r, a *etree.Element) {
			evil := without(forge(a))
			r.AddChild(evil)
			evil.AddChild(a)
		}),
		after("wrapping 5: another assertion with the signature, then the signed one", func(r, a *etree.Element) {
			r.InsertChildAt(a.Index(), forge(a))
			a.RemoveChild(signatureOf(a))
		}),
		after("wrapping 6: the signed assertion within the signature of another", func(r, a *etree.Element) {
			evil := forge(a)
			r.AddChild(evil)
			a.RemoveChild(signatureOf(a))
			signatureOf(evil).AddChild(a)
		}),
		after("wrapping 7: another assertion in extensions", func(r, a *etree.Element) {
			extensions := etree.NewElement("samlp:Extensions")
			extensions.AddChild(without(forge(a)))
			r.InsertChildAt(1, extensions)
		}),
		after("wrapping 8: the signed assertion in an object of the signature of another", func(r, a *etree.Element) {
			evil := forge(a)
			r.AddChild(evil)
			a.RemoveChild(signatureOf(a))
			object := signatureOf(evil).CreateElement("ds:Object")
			object.AddChild(a)
		}),
		after("another assertion after the signed one", func(r, a *etree.Element) { r.AddChild(without(forge(a))) }),
		after("another assertion of the same ID", func(r, a *etree.Element) {
			evil := without(forge(a))
			evil.CreateAttr("ID", a.SelectAttrValue("ID", ""))
			r.InsertChildAt(a.Index(), evil)
		}),
		{"two signed assertions", func(p *Provider, l Login) string {
			r := p.response(l)
			l.NameID = forged
			r.AddChild(p.assertion(l))
			for _, a := range r.SelectElements("Assertion") {
				p.sign(a)
			}
			return text(r)
		}},
		{"two assertions in a signed response", func(p *Provider, l Login) string {
			r := p.response(l)
			l.NameID = forged
			r.AddChild(p.assertion(l))
			p.sign(r)
			return text(r)
		}},
	}
}

// signatures are signed by nobody, or not by the provider, or not as it must.
func signatures() []Forgery {
	stranger := func(name string, disguise func(p, stranger *Provider, r *etree.Element)) Forgery {
		return Forgery{name, func(p *Provider, l Login) string {
			other := New(p.entityID, l.Now)
			r := other.response(l)
			other.sign(assertionOf(r))
			disguise(p, other, r)
			return text(r)
		}}
	}
	return []Forgery{
		{"no signature", func(p *Provider, l Login) string { return text(p.response(l)) }},
		after("a stripped signature", func(_, a *etree.Element) { a.RemoveChild(signatureOf(a)) }),
		after("a changed user", func(_, a *etree.Element) { a.FindElement(".//NameID").SetText(forged) }),
		after("a changed attribute", func(_, a *etree.Element) { a.FindElement(".//AttributeValue").SetText("Admins") }),
		after("an added attribute", func(_, a *etree.Element) {
			a.FindElement("./AttributeStatement").AddChild(a.FindElement(".//Attribute").Copy())
		}),
		{"a changed assertion, signed before, in a response that is signed later", func(p *Provider, l Login) string {
			r := p.response(l)
			a := assertionOf(r)
			p.sign(a)
			a.FindElement(".//NameID").SetText(forged)
			p.sign(r)
			return text(r)
		}},
		whole("a changed response around an assertion that is not signed", func(r *etree.Element) *etree.Element {
			r.FindElement(".//NameID").SetText(forged)
			return r
		}),
		{"a signed assertion in a response with a false signature", func(p *Provider, l Login) string {
			r := p.response(l)
			p.sign(assertionOf(r))
			New(p.entityID, l.Now).sign(r)
			return text(r)
		}},
		{"SHA-1", func(p *Provider, l Login) string {
			r := p.response(l)
			p.signBy(dsig.RSASHA1SignatureMethod, assertionOf(r))
			return text(r)
		}},
		after("HMAC by the public certificate", func(_, a *etree.Element) {
			a.FindElement(".//SignatureMethod").CreateAttr("Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1")
		}),
		after("a signature of nothing", func(_, a *etree.Element) {
			info := a.FindElement(".//SignedInfo")
			info.RemoveChild(info.FindElement("./Reference"))
		}),
		after("an empty signature", func(_, a *etree.Element) { a.FindElement(".//SignatureValue").SetText("") }),
		stranger("a stranger's key, with its certificate", func(*Provider, *Provider, *etree.Element) {}),
		stranger("a stranger's key, with the provider's certificate", func(p, _ *Provider, r *etree.Element) {
			r.FindElement(".//X509Certificate").SetText(base64.StdEncoding.EncodeToString(p.cert))
		}),
		stranger("a stranger's key, with both certificates", func(p, _ *Provider, r *etree.Element) {
			data := r.FindElement(".//X509Data")
			c := data.SelectElement("X509Certificate").Copy()
			c.SetText(base64.StdEncoding.EncodeToString(p.cert))
			data.AddChild(c)
		}),
		stranger("a stranger's key, without a certificate", func(_, _ *Provider, r *etree.Element) {
			s := signatureOf(assertionOf(r))
			s.RemoveChild(s.SelectElement("KeyInfo"))
		}),
	}
}

// documents are texts of other forms than XML has in SAML.
func documents() []Forgery {
	before := func(name, prolog string) Forgery {
		return Forgery{name, func(p *Provider, l Login) string { return prolog + p.Respond(l) }}
	}
	insert := func(name, old, inserted string) Forgery {
		return Forgery{name, func(p *Provider, l Login) string {
			return strings.Replace(p.Respond(l), old, inserted, 1)
		}}
	}
	text := func(name, s string) Forgery {
		return Forgery{name, func(*Provider, Login) string { return s }}
	}
	return []Forgery{
		before("a document type", `<!DOCTYPE samlp:Response>`),
		before("an entity", `<!DOCTYPE r [<!ENTITY a "`+forged+`">]>`),
		before("an external entity", `<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>`),
		before("a processing instruction", `<?xml-stylesheet href="https://example.com"?>`),
		insert("a comment in the user", "</saml:NameID>", "<!-- -->."+forged+"</saml:NameID>"),
		{"a comment in the user, signed without it", func(p *Provider, l Login) string {
			l.NameID += "." + forged
			return strings.Replace(p.Respond(l), "."+forged, "<!-- -->."+forged, 1)
		}},
		{"compressed", func(p *Provider, l Login) string {
			var b bytes.Buffer
			w, _ := flate.NewWriter(&b, flate.BestCompression)
			_, err := w.Write([]byte(p.Respond(l)))
			must(err)
			must(w.Close())
			return b.String()
		}},
		{"two documents", func(p *Provider, l Login) string { return p.Respond(l) + p.Respond(l) }},
		{"another document after the end", func(p *Provider, l Login) string { return p.Respond(l) + "<x/>" }},
		{"text after the end", func(p *Provider, l Login) string { return p.Respond(l) + "x" }},
		{"half a response", func(p *Provider, l Login) string { r := p.Respond(l); return r[:len(r)/2] }},
		{"more than 256 KiB", func(p *Provider, l Login) string {
			l.Values = map[string][]string{"padding": {strings.Repeat("x", 256<<10)}}
			return p.Respond(l)
		}},
		{"many attributes", func(p *Provider, l Login) string {
			l.Values = map[string][]string{"padding": make([]string, 2000)}
			return p.Respond(l)
		}},
		edit("deep nesting", func(_ *Login, _, a *etree.Element) {
			el := a.FindElement(".//AttributeValue")
			for range 40 {
				el = el.CreateElement("saml:x")
			}
		}),
		edit("long names", func(_ *Login, _, a *etree.Element) {
			for range 2 {
				a.CreateElement("saml:" + strings.Repeat("x", 100<<10))
			}
		}),
		edit("many namespaces", func(_ *Login, r, _ *etree.Element) {
			for i := range 100 {
				r.CreateAttr(fmt.Sprintf("xmlns:n%d", i), "urn:example:n")
			}
		}),
		text("nothing", ""),
		text("no XML", "SAMLResponse"),
		text("another document", `<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>`),
		text("an empty response", `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>`),
	}
}
