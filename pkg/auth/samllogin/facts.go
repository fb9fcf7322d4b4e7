package samllogin

import "crypto/x509"

// Facts are what metadata say of an identity provider.
type Facts struct {
	EntityID     string
	SignOn       string              // URL to which browsers are sent
	Certificates []*x509.Certificate // by which responses are signed; never empty
}

// FactsOf returns what metadata say. The error says why a coordinator would refuse them.
func FactsOf(metadata []byte) (Facts, error) {
	p, err := parseProvider(metadata)
	if err != nil {
		return Facts{}, err
	}
	f := Facts{EntityID: p.EntityID, SignOn: signOn(p)}
	err = eachCertificate(p.IDPSSODescriptors[0].KeyDescriptors, func(c *x509.Certificate) error {
		f.Certificates = append(f.Certificates, c)
		return nil
	})
	return f, err
}
