// Package deploy tests what lies in deploy/: the manifests against the schemas of
// Kubernetes, the compose file against that of Compose, the image by doing what
// its Dockerfile says, and the dashboard by running a fleet as the manifests say
// and asking a real Prometheus.
package deploy_test

import (
	"os"
	"path/filepath"
	"testing"
)

// deployed is the directory that is tested.
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
