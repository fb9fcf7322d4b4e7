package e2e_test

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// The published Python client of lakeFS runs the documented examples of all five import
// operations against a coordinator.
func TestPublishedPythonClient(t *testing.T) {
	awkwardObjects(t)
	f := newFleet(t, smallBreaks, shape{nats: 1, workers: 1})
	cmd := exec.CommandContext(t.Context(), "../pyclient/run.sh",
		"http://"+f.api, accessKey, secretKey, awkwardSource, "s3://"+awkwardBucket+"/ns-python-"+time.Now().Format("150405.000000000"))
	cmd.Env = append(os.Environ(), "CI=true")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
