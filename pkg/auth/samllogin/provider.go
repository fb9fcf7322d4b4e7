package samllogin

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/crewjam/saml"

	"github.com/rangefleet/rangefleet/pkg/access"
)

// parseProvider parses the metadata of an identity provider. What a login needs must be there, so
// that a wrong file is found when it is read.
func parseProvider(metadata []byte) (*saml.EntityDescriptor, error) {
	p := new(saml.EntityDescriptor)
	if err := xml.Unmarshal(metadata, p); err != nil {
		return nil, err
	}
	if _, err := access.ExternalUser(access.SAML, p.EntityID, "x"); err != nil {
		return nil, err
	}
	if len(p.IDPSSODescriptors) != 1 {
		return nil, fmt.Errorf("%d elements IDPSSODescriptor, want one", len(p.IDPSSODescriptors))
	}
	if err := checkKeys(p.IDPSSODescriptors[0].KeyDescriptors); err != nil {
		return nil, err
	}
	return p, checkSignOn(p)
}

// lastEnd returns when the last of the certificates of a provider expires, whose keys were checked.
func lastEnd(p *saml.EntityDescriptor) (last time.Time) {
	_ = eachCertificate(p.IDPSSODescriptors[0].KeyDescriptors, func(c *x509.Certificate) error {
		if c.NotAfter.After(last) {
			last = c.NotAfter
		}
		return nil
	})
	return last
}

// checkSignOn checks that there is a URL for requests. The library has checked its scheme.
func checkSignOn(p *saml.EntityDescriptor) error {
	if signOn(p) == "" {
		return errors.New("no SingleSignOnService of binding HTTP-Redirect")
	}
	return nil
}

// signOn returns the URL for requests, "" if there is none.
func signOn(p *saml.EntityDescriptor) string {
	return (&saml.ServiceProvider{IDPMetadata: p}).GetSSOBindingLocation(saml.HTTPRedirectBinding)
}

// checkKeys checks the certificates by which responses are signed. Only these are believed, and not
// those that responses hold.
func checkKeys(keys []saml.KeyDescriptor) error {
	n := 0
	err := eachCertificate(keys, func(c *x509.Certificate) error { n++; return checkCertificate(c) })
	if err == nil && n == 0 {
		err = errors.New("no certificate for signatures")
	}
	return err
}

// eachCertificate calls f for each certificate for signatures, until it fails.
func eachCertificate(keys []saml.KeyDescriptor, f func(*x509.Certificate) error) error {
	for _, k := range keys {
		if k.Use == "encryption" {
			continue
		}
		for _, text := range k.KeyInfo.X509Data.X509Certificates {
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text.Data), ""))
			if err != nil {
				return fmt.Errorf("certificate: %w", err)
			}
			c, err := x509.ParseCertificate(der)
			if err == nil {
				err = f(c)
			}
			if err != nil {
				return fmt.Errorf("certificate: %w", err)
			}
		}
	}
	return nil
}

func checkCertificate(c *x509.Certificate) error {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.Size() < 2048/8 {
			return fmt.Errorf("an RSA key of %d bits, want at least 2048", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
	default:
		return fmt.Errorf("a key of type %T, want RSA or ECDSA", k)
	}
	return nil
}
