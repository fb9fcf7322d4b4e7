package samllogin

import (
	"errors"
	"fmt"
	"time"

	"github.com/crewjam/saml"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
)

// leeway is by how much the clocks of the provider and of this process may differ.
const leeway = 30 * time.Second

// verify checks a response whose form is right, and returns whom it vouches for. An error is
// auth.ErrUnauthenticated.
func (l *Logins) verify(document []byte, request string) (user auth.External, err error) {
	defer func() { // parsers of XML have had such bugs
		if v := recover(); v != nil {
			err = refused("a panic while it was parsed: %.200v", v)
		}
	}()
	now := l.cfg.Now()
	sp := l.client(now)
	a, err := sp.ParseXMLResponse(document, []string{request}, l.acs)
	if err != nil {
		return auth.External{}, refused("%.300s", reason(err))
	}
	if err := timely(a, now); err != nil {
		return auth.External{}, refused("%w", err)
	}
	claims := claimsOf(a)
	issuer := sp.IDPMetadata.EntityID
	subject, err := l.subject(a, claims)
	if err == nil {
		_, err = access.ExternalUser(access.SAML, issuer, subject)
	}
	if err != nil {
		return auth.External{}, refused("%w", err)
	}
	return auth.External{Provider: access.SAML, Issuer: issuer, Subject: subject, Claims: claims, Expires: sessionEnd(a, now)}, nil
}

// reason returns what is wrong with a response. The error itself does not say it.
func reason(err error) string {
	if invalid, ok := errors.AsType[*saml.InvalidResponseError](err); ok {
		return invalid.PrivateErr.Error()
	}
	return err.Error()
}

// timely checks the times of an assertion. The library allows clocks to differ by three minutes,
// in a variable of the process. It has checked that the data of the confirmation are there.
func timely(a *saml.Assertion, now time.Time) error {
	d := a.Subject.SubjectConfirmations[0].SubjectConfirmationData
	early, late := now.Add(leeway), now.Add(-leeway)
	for _, from := range []time.Time{a.IssueInstant, a.Conditions.NotBefore, d.NotBefore} {
		if from.After(early) {
			return fmt.Errorf("it is valid from %v on", from.UTC())
		}
	}
	for _, until := range []time.Time{a.Conditions.NotOnOrAfter, d.NotOnOrAfter} {
		if !until.IsZero() && !until.After(late) {
			return fmt.Errorf("it was valid until %v", until.UTC())
		}
	}
	if end := sessionEnd(a, now); !end.After(now) {
		return fmt.Errorf("its session ended at %v", end.UTC())
	}
	return nil
}

// sessionEnd returns when the session that an assertion allows ends.
func sessionEnd(a *saml.Assertion, now time.Time) time.Time {
	end := now.Add(session.MaxLife)
	for _, s := range a.AuthnStatements {
		if s.SessionNotOnOrAfter != nil && s.SessionNotOnOrAfter.Before(end) {
			end = *s.SessionNotOnOrAfter
		}
	}
	return end
}

// claimsOf returns the attributes of an assertion, by name.
func claimsOf(a *saml.Assertion) map[string][]string {
	claims := make(map[string][]string)
	for _, s := range a.AttributeStatements {
		for _, attribute := range s.Attributes {
			for _, v := range attribute.Values {
				claims[attribute.Name] = append(claims[attribute.Name], v.Value)
			}
		}
	}
	return claims
}

// subject returns the name of the user of an assertion.
func (l *Logins) subject(a *saml.Assertion, claims map[string][]string) (string, error) {
	if name := l.cfg.UserAttribute; name != "" {
		if values := claims[name]; len(values) == 1 {
			return values[0], nil
		}
		return "", fmt.Errorf("the attribute %q has %d values, want one", name, len(claims[name]))
	}
	n := a.Subject.NameID
	if n.Format == string(saml.TransientNameIDFormat) { // each login would make another user
		return "", errors.New("its NameID is another one for each login: let an attribute name the user")
	}
	return n.Value, nil
}
