package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// kubernetes is the version of Kubernetes whose schemas are used. The tests read files of the
// module and compile none of its code.
const kubernetes = "k8s.io/kubernetes@v1.37.2"

// schemas holds the schemas of kinds, by names such as "apps/v1 Deployment".
type schemas struct {
	compiler *jsonschema.Compiler
	names    map[string]string // name of the definition by kind
}

var loadSchemas = sync.OnceValues(func() (*schemas, error) {
	cmd := exec.Command("go", "mod", "download", "-json", kubernetes)
	cmd.Dir = os.TempDir() // outside of any module
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("download %s: %w: %s", kubernetes, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(module.Dir, "api/openapi-spec/swagger.json"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		return nil, err
	}
	s := &schemas{compiler: jsonschema.NewCompiler(), names: map[string]string{}}
	for name, d := range doc.(map[string]any)["definitions"].(map[string]any) {
		s.add(name, d.(map[string]any))
	}
	s.compiler.DefaultDraft(jsonschema.Draft4)
	return s, s.compiler.AddResource("file:///swagger.json", doc)
})

// add adds a definition and makes it strict, so that unknown fields are errors.
func (s *schemas) add(name string, definition map[string]any) {
	if _, open := definition["additionalProperties"]; !open && definition["properties"] != nil {
		definition["additionalProperties"] = false
	}
	if definition["format"] == "int-or-string" {
		definition["type"] = []any{"integer", "string"}
	}
	kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
	for _, k := range kinds {
		kind := k.(map[string]any)
		version := kind["version"].(string)
		if group := kind["group"].(string); group != "" {
			version = group + "/" + version
		}
		s.names[fmt.Sprintf("%s %s", version, kind["kind"])] = name
	}
}

// validate validates an object, which is decoded JSON.
func (s *schemas) validate(object map[string]any) error {
	kind := fmt.Sprintf("%s %s", object["apiVersion"], object["kind"])
	name, ok := s.names[kind]
	if !ok {
		return fmt.Errorf("%s has no kind %s", kubernetes, kind)
	}
	schema, err := s.compiler.Compile("file:///swagger.json#/definitions/" + name)
	if err != nil {
		return err
	}
	return schema.Validate(object)
}

func kubernetesSchemas(t *testing.T) *schemas {
	t.Helper()
	s, err := loadSchemas()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
