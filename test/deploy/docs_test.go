package deploy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/deploying.md names every key of the secret and every variable of the Compose file, and
// links only to existing files.
func TestDocsAreComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/deploying.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := string(text)
	m, err := parse(build(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.workloads {
		for _, e := range w.container().Env {
			if e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
				continue
			}
			key, optional := e.ValueFrom.SecretKeyRef.Key, e.ValueFrom.SecretKeyRef.Optional
			if !strings.Contains(docs, "`"+key+"`") {
				t.Errorf("it does not name the secret's key %s", key)
			}
			if made := strings.Contains(docs, "--from-literal="+key+"="); made != (optional == nil) {
				t.Errorf("its command creates the secret's key %s: %t", key, made)
			}
		}
	}
	for _, v := range regexp.MustCompile(`\$\{(\w+)`).FindAllStringSubmatch(string(read(t, "compose.yaml")), -1) {
		if !strings.Contains(docs, "`"+v[1]+"`") {
			t.Errorf("it does not name the variable %s of the Compose file", v[1])
		}
	}
	for _, l := range regexp.MustCompile(`\]\((\.\./[\w./-]+|[\w-]+\.md)`).FindAllStringSubmatch(docs, -1) {
		if _, err := os.Stat("../../docs/" + l[1]); err != nil {
			t.Error(err)
		}
	}
}
