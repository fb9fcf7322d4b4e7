package deploy_test

import (
	"fmt"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// drainSeconds is how long a process may take to end after SIGTERM (ARCHITECTURE.md,
// "Stopping"). It does not include the preStop hook.
const drainSeconds = 10

// faults returns the names that refer to nothing, and other inconsistencies.
func (m *manifests) faults() (faults []string) {
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for name, w := range m.workloads {
		if !matches(w.selector, w.pod.Labels) {
			say("workload %s does not select its own pods", name)
		}
		if !m.hasService(w.service) {
			say("%s has no service %s", name, w.service)
		}
		m.podFaults(name, w, say)
	}
	for _, s := range m.services {
		selected := m.selected(&metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(selected) != 1 {
			say("service %s selects %d workloads", s.Name, len(selected))
		}
		for _, port := range s.Spec.Ports {
			m.portFaults("service "+s.Name, selected, port.TargetPort, say)
		}
	}
	for _, b := range m.budgets {
		if len(m.selected(b.Spec.Selector)) != 1 {
			say("the budget %s selects %d workloads", b.Name, len(m.selected(b.Spec.Selector)))
		}
	}
	m.policyFaults(say)
	return faults
}

// hasService reports whether there is a headless service of that name.
func (m *manifests) hasService(name string) bool {
	return name == "" || slices.ContainsFunc(m.services, func(s corev1.Service) bool {
		return s.Name == name && s.Spec.ClusterIP == corev1.ClusterIPNone
	})
}

type sayFunc func(format string, args ...any)

var variable = regexp.MustCompile(`\$\((\w+)\)`)

// podFaults checks the pods of a workload.
func (m *manifests) podFaults(name string, w workload, say sayFunc) {
	spec, c := w.pod.Spec, w.container()
	if !m.accounts[spec.ServiceAccountName] {
		say("%s has no service account %s", name, spec.ServiceAccountName)
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if p == nil || p.HTTPGet == nil || !hasPort(w, p.HTTPGet.Port) {
			say("a probe of %s uses a port that the container does not have", name)
		}
	}
	pause := int64(0)
	if l := c.Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
		pause = l.PreStop.Sleep.Seconds
	}
	if grace := *spec.TerminationGracePeriodSeconds; grace <= pause+drainSeconds {
		say("terminationGracePeriodSeconds of %s is %d, but it may take %d to end", name, grace, pause+drainSeconds)
	}
	envFaults(name, c.Env, say)
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		say("%s has no resource requests or limits", name)
	}
	m.volumeFaults(name, w, say)
}

// envFaults checks the environment of a container.
func envFaults(name string, env []corev1.EnvVar, say sayFunc) {
	var known []string
	for _, e := range env {
		for _, v := range variable.FindAllStringSubmatch(e.Value, -1) {
			if !slices.Contains(known, v[1]) {
				say("%s of %s uses %s, which is not set before it", e.Name, name, v[1])
			}
		}
		known = append(known, e.Name)
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name != secretName {
			say("%s of %s uses the secret %s", e.Name, name, e.ValueFrom.SecretKeyRef.Name)
		}
	}
}

// secretName is the only secret, which the operator creates.
const secretName = "rangefleet"

func (m *manifests) volumeFaults(name string, w workload, say sayFunc) {
	var volumes []string
	for _, v := range w.pod.Spec.Volumes {
		volumes = append(volumes, v.Name)
		if v.ConfigMap == nil {
			continue
		}
		if _, ok := m.configs[v.ConfigMap.Name]; !ok {
			say("%s mounts the config map %s, which does not exist", name, v.ConfigMap.Name)
		}
	}
	for _, claim := range w.claims {
		volumes = append(volumes, claim.Name)
	}
	for _, mount := range w.container().VolumeMounts {
		if !slices.Contains(volumes, mount.Name) {
			say("%s mounts %s, which is not a volume", name, mount.Name)
		}
	}
}

func (m *manifests) policyFaults(say sayFunc) {
	for _, p := range m.policies {
		own := m.selected(&p.Spec.PodSelector)
		if len(own) != 1 {
			say("the network policy %s selects %d workloads", p.Name, len(own))
		}
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				m.portFaults("ingress of network policy "+p.Name, own, *port.Port, say)
			}
			for _, from := range rule.From {
				if len(m.selected(from.PodSelector)) == 0 {
					say("the network policy %s admits no peers", p.Name)
				}
			}
		}
		for _, rule := range p.Spec.Egress {
			for _, to := range rule.To {
				for _, port := range rule.Ports {
					m.portFaults("egress of network policy "+p.Name, m.selected(to.PodSelector), *port.Port, say)
				}
			}
		}
	}
}

// portFaults checks that all of the workloads have the port.
func (m *manifests) portFaults(who string, of []workload, port intstr.IntOrString, say sayFunc) {
	if len(of) == 0 {
		say("%s selects no workload", who)
	}
	for _, w := range of {
		if !hasPort(w, port) {
			say("%s: %s has no port %s", who, w.container().Name, port.String())
		}
	}
}

func hasPort(w workload, port intstr.IntOrString) bool {
	return slices.ContainsFunc(w.container().Ports, func(p corev1.ContainerPort) bool {
		return port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal
	})
}

func (m *manifests) selected(by *metav1.LabelSelector) (found []workload) {
	for _, w := range m.workloads {
		if matches(by, w.pod.Labels) {
			found = append(found, w)
		}
	}
	return found
}

func matches(by *metav1.LabelSelector, l map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(by)
	return err == nil && selector.Matches(labels.Set(l))
}
