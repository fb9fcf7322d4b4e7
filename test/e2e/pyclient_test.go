package e2e_test

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// The published Python client of lakeFS runs the documented examples of all five import
// operations against a coordinator, by each scheme that begins with an access key. Those of
// identity providers are in test/login.
func TestPublishedPythonClient(t *testing.T) {
	awkwardObjects(t)
	f := newFleet(t, smallBreaks, shape{nats: 1, workers: 1})
	for _, scheme := range []string{"basic_auth", "jwt_token", "cookie_auth"} {
		t.Run(scheme, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "../pyclient/run.sh", "http://"+f.api, accessKey, secretKey, awkwardSource,
				"s3://"+awkwardBucket+"/ns-python-"+scheme+time.Now().Format("150405.000000000"))
			cmd.Env = append(os.Environ(), "CI=true", "RANGEFLEET_SCHEME="+scheme)
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Error(err)
			}
		})
	}
}
