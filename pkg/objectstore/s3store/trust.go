package s3store

import (
	"crypto/x509"
	"fmt"
	"os"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// CheckTrust returns objectstore.ErrSettings if the environment names a file of
// certificates that cannot be used. Without this check, the certificate of every server
// would seem to be of an unknown authority.
func CheckTrust(getenv func(string) string) error {
	for _, name := range []string{"AWS_CA_BUNDLE", "SSL_CERT_FILE"} { // the SDK's, which replaces the system's certificates, and Go's
		path := getenv(name)
		if path == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", name, err, objectstore.ErrSettings)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(text) {
			return fmt.Errorf("%s: %q holds no certificate in PEM format: %w", name, path, objectstore.ErrSettings)
		}
	}
	return nil
}
