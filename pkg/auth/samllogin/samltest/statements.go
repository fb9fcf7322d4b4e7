package samltest

import (
	"time"

	"github.com/beevik/etree"
)

// Paths of elements, from an assertion.
const (
	ofResponse     = ".."
	ofConditions   = "./Conditions"
	ofConfirmation = ".//SubjectConfirmation"
	ofData         = ".//SubjectConfirmationData"
	ofUser         = ".//NameID"
)

// setting returns a forgery that sets an attribute of an element before the assertion is signed.
func setting(name, path, attribute, value string) Forgery {
	return edit(name, func(_ *Login, _, a *etree.Element) { a.FindElement(path).CreateAttr(attribute, value) })
}

// lacking returns a forgery that removes an attribute of some elements before the assertion is signed.
func lacking(name, attribute string, paths ...string) Forgery {
	return edit(name, func(_ *Login, _, a *etree.Element) {
		for _, path := range paths {
			a.FindElement(path).RemoveAttr(attribute)
		}
	})
}

// dropping returns a forgery that removes an element before the assertion is signed.
func dropping(name, path string) Forgery {
	return edit(name, func(_ *Login, _, a *etree.Element) {
		el := a.FindElement(path)
		el.Parent().RemoveChild(el)
	})
}

// doubling returns a forgery that adds a changed copy of an element before the assertion is signed.
func doubling(name, path string, change func(added *etree.Element)) Forgery {
	return edit(name, func(_ *Login, _, a *etree.Element) {
		el := a.FindElement(path)
		added := el.Copy()
		change(added)
		el.Parent().AddChild(added)
	})
}

// statements are what the provider signs although it does not prove this login.
func statements() []Forgery {
	const otherRequest, other, otherACS = "id-0123456789", "https://other.example.com", "https://other.example.com/sso/acs"
	return []Forgery{
		change("unsolicited", func(l *Login) { l.Request = "" }),
		lacking("unsolicited by leaving InResponseTo out", "InResponseTo", ofResponse, ofData),
		change("for an unknown request", func(l *Login) { l.Request = otherRequest }),
		setting("an assertion for another request", ofData, "InResponseTo", otherRequest),
		lacking("an assertion for no request", "InResponseTo", ofData),
		lacking("a response for no request", "InResponseTo", ofResponse),
		change("for another audience", func(l *Login) { l.Audience = other }),
		dropping("for no audience", "./Conditions/AudienceRestriction"),
		doubling("for two audiences at once", "./Conditions/AudienceRestriction", func(r *etree.Element) { r.SelectElement("Audience").SetText(other) }),
		change("for another recipient", func(l *Login) { l.ACS = otherACS }),
		setting("for another destination", ofResponse, "Destination", otherACS),
		setting("an assertion for another recipient", ofData, "Recipient", otherACS),
		edit("of another issuer", func(_ *Login, _, a *etree.Element) { a.SelectElement("Issuer").SetText(other) }),
		setting("no success", "../Status/StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder"),
		setting("another version", ".", "Version", "1.1"),
		dropping("no conditions", ofConditions),
		edit("an unknown condition", func(_ *Login, _, a *etree.Element) {
			a.FindElement(ofConditions).CreateElement("x:Condition").CreateAttr("xmlns:x", "urn:example:x")
		}),
		dropping("no subject", "./Subject"),
		dropping("no confirmation", ofConfirmation),
		dropping("a confirmation without data", ofData),
		setting("a confirmation by a key", ofConfirmation, "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"),
		doubling("two confirmations, for two requests", ofConfirmation, func(c *etree.Element) {
			c.SelectElement("SubjectConfirmationData").CreateAttr("InResponseTo", otherRequest)
		}),
		dropping("no login", "./AuthnStatement"),
		edit("a user of a foreign namespace", func(_ *Login, _, a *etree.Element) {
			name := a.FindElement(ofUser)
			name.Space = "x"
			name.CreateAttr("xmlns:x", "urn:example:x")
			name.SetText(forged)
		}),
		doubling("two users", ofUser, func(name *etree.Element) { name.SetText(forged) }),
		dropping("no user", ofUser),
		setting("a user for one login only", ofUser, "Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"),
		edit("an encrypted assertion", func(_ *Login, r, _ *etree.Element) {
			r.CreateElement("saml:EncryptedAssertion").CreateAttr("xmlns:saml", "urn:oasis:names:tc:SAML:2.0:assertion")
		}),
		edit("an encrypted user", func(_ *Login, _, a *etree.Element) { a.SelectElement("Subject").CreateElement("saml:EncryptedID") }),
	}
}

// times are what the provider says too late or too early.
func times() []Forgery {
	all := func(name string, shift time.Duration) Forgery {
		return change(name, func(l *Login) { l.Now, l.Until = l.Now.Add(shift), l.Until.Add(shift) })
	}
	set := func(name, path, attribute string, shift time.Duration) Forgery {
		return edit(name, func(l *Login, _, a *etree.Element) {
			a.FindElement(path).CreateAttr(attribute, l.Now.Add(shift).UTC().Format(time.RFC3339))
		})
	}
	return []Forgery{
		all("an hour late", -time.Hour),
		all("an hour early", time.Hour),
		all("two minutes early", 2*time.Minute),
		set("a confirmation that has expired", ofData, "NotOnOrAfter", -31*time.Second),
		set("conditions that have expired", ofConditions, "NotOnOrAfter", -31*time.Second),
		set("conditions of the future", ofConditions, "NotBefore", 31*time.Second),
		set("a confirmation of the future", ofData, "NotBefore", 31*time.Second),
		set("an assertion of the future", ".", "IssueInstant", 31*time.Second),
		edit("a response of the future", func(l *Login, r, _ *etree.Element) {
			r.CreateAttr("IssueInstant", l.Now.Add(4*time.Minute).UTC().Format(time.RFC3339))
		}),
		lacking("a confirmation without an end", "NotOnOrAfter", ofData),
		set("a session that has ended", "./AuthnStatement", "SessionNotOnOrAfter", -time.Second),
	}
}
