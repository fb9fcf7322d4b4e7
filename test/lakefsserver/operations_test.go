package lakefsserver_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// apiOperation is an operation of a description of an API.
type apiOperation struct {
	OperationID string      `yaml:"operationId"`
	Security    *[]struct{} `yaml:"security"` // none: it needs no credentials
}

// wildcard is a parameter of a path.
var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// readOperations returns the operations of a description, by method and path. Parameters of
// paths have no names.
func readOperations(t *testing.T, file string) map[string]apiOperation {
	t.Helper()
	text, err := os.ReadFile(file)
	expect.NoError(t, err)
	var description struct {
		Paths map[string]map[string]yaml.Node
	}
	expect.NoError(t, yaml.Unmarshal(text, &description))
	all := make(map[string]apiOperation)
	for path, item := range description.Paths {
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			var op apiOperation
			expect.NoError(t, node.Decode(&op))
			all[strings.ToUpper(method)+" "+wildcard.ReplaceAllString(path, "{}")] = op
		}
	}
	return all
}

// TestEveryOperationIsServedOrRefused shows that api/openapi.yaml has an operation of lakeFS's API
// under its name, or that it is refused by its name.
func TestEveryOperationIsServedOrRefused(t *testing.T) {
	t.Parallel()
	schema, err := lakefstest.Schema(t.Context())
	expect.NoError(t, err)
	endpoint := startRangefleet(t, ceph.Endpoint, lakefstest.Admin)
	served, refused := readOperations(t, "../../api/openapi.yaml"), 0
	for route, op := range readOperations(t, schema) {
		if ours, ok := served[route]; ok {
			if ours.OperationID != op.OperationID {
				t.Errorf("%s is %s, and %s of lakeFS", route, ours.OperationID, op.OperationID)
			}
			continue
		}
		refused++
		method, path, _ := strings.Cut(strings.ReplaceAll(route, "{}", "x"), " ")
		code, message := ask(t, method, endpoint+"/api/v1"+path, &lakefstest.Admin)
		if code != http.StatusNotImplemented || !strings.HasPrefix(message, op.OperationID+" is not supported: ") {
			t.Errorf("%s, %s: %d %s, want 501 and the name", route, op.OperationID, code, message)
		}
		open, want := op.Security != nil, http.StatusUnauthorized
		if open {
			want = http.StatusNotImplemented
		}
		if code, message := ask(t, method, endpoint+"/api/v1"+path, nil); code != want {
			t.Errorf("%s without credentials: %d %s, want %d", route, code, message, want)
		}
	}
	if refused == 0 {
		t.Error("no operation was asked for")
	}
}

// ask sends a request without a body, and returns the status and the message of the answer.
func ask(t *testing.T, method, url string, user *lakefstest.User) (code int, message string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	expect.NoError(t, err)
	if user != nil {
		r.SetBasicAuth(user.AccessKeyID, user.SecretAccessKey)
	}
	got, err := http.DefaultClient.Do(r)
	expect.NoError(t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	expect.NoError(t, err)
	var answer struct{ Message string }
	_ = json.Unmarshal(text, &answer) // it has no message
	return got.StatusCode, answer.Message
}
