// Package deploy tests the files in deploy/. It checks the manifests against the schemas of
// Kubernetes and the Compose file against that of Compose. It builds the image by following
// the Dockerfile. It checks the boards by running a fleet with the manifests' settings and
// querying a real Prometheus.
package deploy_test

import (
	"os"
	"path/filepath"
	"testing"
)

// deployed is the tested directory.
const deployed = "../../deploy"

// read returns a file of deploy/.
func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployed, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
