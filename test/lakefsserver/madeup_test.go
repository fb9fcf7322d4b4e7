package lakefsserver_test

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// TestMadeUpRequests lets schemathesis make requests of api/openapi.yaml, right and wrong ones.
// No answer has a status that the operation does not document, or one of 5xx other than 501.
func TestMadeUpRequests(t *testing.T) {
	t.Parallel()
	seed := seeded.Rand(t).Int64N(1 << 31)
	endpoint := startRangefleet(t, ceph.Endpoint, lakefstest.Admin)
	repo := lakefstest.NewClient(endpoint, lakefstest.Admin).CreateRepository(t, "made-up", namespaces(t)+"/made-up")
	repo.In(t, http.MethodPost, "/branches", map[string]string{"name": "other", "source": "main"}).Is(t, http.StatusCreated, "")
	root, err := filepath.Abs("../..")
	expect.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "test/pyclient/python.sh"), "-m", "schemathesis.cli",
		"--config-file="+filepath.Join(root, "test/pyclient/schemathesis.toml"),
		"run", filepath.Join(root, "api/openapi.yaml"), "--url="+endpoint+"/api/v1",
		"--auth="+lakefstest.Admin.AccessKeyID+":"+lakefstest.Admin.SecretAccessKey,
		"--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance", "--continue-on-failure",
		"--max-examples=10", "--generation-database=none",
		"--seed="+strconv.FormatInt(seed, 10), "--no-color", "--warnings=off", "--suppress-health-check=all",
	)
	cmd.Dir = t.TempDir() // it leaves a cache there
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
