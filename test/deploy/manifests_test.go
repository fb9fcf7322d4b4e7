package deploy_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are the objects that `kubectl apply -k deploy/kubernetes` would send, by kind.
type manifests struct {
	raw       []map[string]any
	workloads map[string]workload // by name
	services  []corev1.Service
	budgets   []policyv1.PodDisruptionBudget
	policies  []networkingv1.NetworkPolicy
	configs   map[string]corev1.ConfigMap
	accounts  map[string]bool
	kinds     map[string]int
}

// workload is a Deployment or a StatefulSet.
type workload struct {
	selector *metav1.LabelSelector
	replicas int32
	pod      corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
	service  string // the service that gives the pods of a StatefulSet their names
}

// container returns the only container of the workload.
func (w workload) container() corev1.Container { return w.pod.Spec.Containers[0] }

// build renders the manifests with kustomize.
func build(t *testing.T) []byte {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	result, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), filepath.Join(deployed, "kubernetes"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := result.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parse parses rendered manifests. It returns an error for unknown and repeated fields.
func parse(text []byte) (*manifests, error) {
	m := &manifests{
		workloads: map[string]workload{}, configs: map[string]corev1.ConfigMap{},
		accounts: map[string]bool{}, kinds: map[string]int{},
	}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		if err := m.add(document); err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, document)
		}
	}
	return m, nil
}

func (m *manifests) add(document []byte) error {
	var raw map[string]any
	if err := yaml.Unmarshal(document, &raw); err != nil {
		return err
	}
	m.raw = append(m.raw, raw)
	kind := fmt.Sprint(raw["kind"])
	m.kinds[kind]++
	switch kind {
	case "Deployment":
		d, err := decode[appsv1.Deployment](document)
		m.workloads[d.Name] = workload{d.Spec.Selector, *d.Spec.Replicas, d.Spec.Template, nil, ""}
		return err
	case "StatefulSet":
		s, err := decode[appsv1.StatefulSet](document)
		m.workloads[s.Name] = workload{s.Spec.Selector, *s.Spec.Replicas, s.Spec.Template, s.Spec.VolumeClaimTemplates, s.Spec.ServiceName}
		return err
	case "Service":
		s, err := decode[corev1.Service](document)
		m.services = append(m.services, s)
		return err
	case "PodDisruptionBudget":
		b, err := decode[policyv1.PodDisruptionBudget](document)
		m.budgets = append(m.budgets, b)
		return err
	case "NetworkPolicy":
		p, err := decode[networkingv1.NetworkPolicy](document)
		m.policies = append(m.policies, p)
		return err
	case "ConfigMap":
		c, err := decode[corev1.ConfigMap](document)
		m.configs[c.Name] = c
		return err
	case "ServiceAccount":
		a, err := decode[corev1.ServiceAccount](document)
		m.accounts[a.Name] = true
		return err
	case "Namespace":
		_, err := decode[corev1.Namespace](document)
		return err
	}
	return fmt.Errorf("unexpected kind %s", kind)
}

func decode[T any](document []byte) (object T, err error) {
	return object, yaml.UnmarshalStrict(document, &object)
}

// The manifests satisfy the schemas of Kubernetes and the restricted Pod Security Standard,
// and refer to each other correctly.
func TestManifests(t *testing.T) {
	m, err := parse(build(t))
	if err != nil {
		t.Fatal(err)
	}
	s := kubernetesSchemas(t)
	for _, object := range m.raw {
		if err := s.validate(object); err != nil {
			t.Errorf("%s %v: %v", object["kind"], object["metadata"], err)
		}
	}
	for _, fault := range m.faults() {
		t.Error(fault)
	}
	for _, fault := range m.insecure(t) {
		t.Error(fault)
	}
	for kind, want := range map[string]int{
		"Deployment": 2, "StatefulSet": 1, "Service": 3, "PodDisruptionBudget": 3,
		"NetworkPolicy": 3, "ServiceAccount": 3, "ConfigMap": 2, "Namespace": 1,
	} {
		if m.kinds[kind] != want {
			t.Errorf("%d of kind %s, want %d", m.kinds[kind], kind, want)
		}
	}
}

// insecure returns the violations of the restricted Pod Security Standard.
func (m *manifests) insecure(t *testing.T) (faults []string) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	for name, w := range m.workloads {
		for _, r := range evaluator.EvaluatePod(restricted, &w.pod.ObjectMeta, &w.pod.Spec) {
			if !r.Allowed {
				faults = append(faults, fmt.Sprintf("%s violates the restricted standard: %s: %s", name, r.ForbiddenReason, r.ForbiddenDetail))
			}
		}
		if c := w.container().SecurityContext; c == nil || c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem {
			faults = append(faults, name+" can write its root file system")
		}
	}
	return faults
}

// The checks of the manifests detect typical mistakes.
func TestManifestFaultsAreDetected(t *testing.T) {
	text := string(build(t))
	s := kubernetesSchemas(t)
	for _, tc := range []struct{ name, from, to, words string }{
		{"unknown field", "terminationGracePeriodSeconds:", "terminationGracePeriod:", "terminationGracePeriod"},
		{"wrong type", "replicas: 4", "replicas: four", "four"},
		{"required field", "serviceName: nats-peers", "x: y", `"x"`},
		{"probe's port", "port: metrics\n          periodSeconds: 5", "port: metric\n          periodSeconds: 5", "probe of worker"},
		{"service's port", "targetPort: http", "targetPort: web", "service coordinator"},
		{"selector of a budget", "matchLabels:\n      app.kubernetes.io/name: worker", "matchLabels:\n      app.kubernetes.io/name: workers", "worker"},
		{"config map", "configMap:\n          name: nats-", "configMap:\n          name: nuts-", "config map nuts-"},
		{"name of a service", "name: nats-peers", "name: nats-others", "nats-peers"},
		{"secret", "key: nats_password\n              name: rangefleet", "key: nats_password\n              name: other", "secret other"},
		{"variable", "value: nats://nats:4222", "value: nats://$(NATS_HOST):4222", "NATS_HOST"},
		{"root", "runAsNonRoot: true", "runAsNonRoot: false", "restricted"},
		{"root file system", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "root file system"},
		{"short grace period", "terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 10", "terminationGracePeriodSeconds"},
		{"policy's port", "- port: 4222\n    to", "- port: 4223\n    to", "4223"},
	} {
		changed := strings.Replace(text, tc.from, tc.to, 1)
		if changed == text {
			t.Errorf("%s: the manifests have no %q", tc.name, tc.from)
			continue
		}
		if got := faultsOf(t, s, changed); !strings.Contains(got, tc.words) {
			t.Errorf("%s: faults %q, want one of %q", tc.name, got, tc.words)
		}
	}
}

func faultsOf(t *testing.T, s *schemas, text string) string {
	t.Helper()
	m, err := parse([]byte(text))
	if err != nil {
		return err.Error()
	}
	faults := append(m.faults(), m.insecure(t)...)
	for _, object := range m.raw {
		if err := s.validate(object); err != nil {
			faults = append(faults, err.Error())
		}
	}
	return strings.Join(faults, "\n")
}
