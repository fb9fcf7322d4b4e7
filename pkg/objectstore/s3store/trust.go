package s3store

import (
	"crypto/x509"
	"fmt"
	"os"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// trustVariables name files with the certificates of authorities: of the SDK, which takes
// them in place of the system's, and of Go.
var trustVariables = []string{"AWS_CA_BUNDLE", "SSL_CERT_FILE"}

// CheckTrust returns an error, which is objectstore.ErrSettings, if the environment names
// a file of certificates that cannot be used. Otherwise every server would be taken for
// one that nobody vouches for.
func CheckTrust(getenv func(string) string) error {
	for _, name := range trustVariables {
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
