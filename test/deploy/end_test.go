package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// checkMemory checks that no pod has used more memory than its limit.
func (c *cluster) checkMemory() {
	for name, pods := range c.pods {
		for i, p := range pods {
			limit := p.container.Resources.Limits.Memory().Value()
			peak, err := p.peak()
			if err != nil || peak > limit {
				c.t.Errorf("%s %d used %d MiB, its limit is %d MiB: %v", name, i, peak>>20, limit>>20, err)
			}
		}
	}
}

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peak returns the most resident memory that the process has had, in bytes.
func (p *pod) peak() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	found := peakLine.FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("process %d is gone", p.Cmd.Process.Pid)
	}
	n, err := strconv.ParseInt(string(found[1]), 10, 64)
	return n << 10, err
}

// end ends one pod of each workload in the way of Kubernetes: it runs the preStop hook and then
// sends SIGTERM. The pod must end within its grace period.
func (c *cluster) end() {
	for _, p := range []*pod{c.pods["worker"][0], c.pods["coordinator"][0], c.pods["nats"][0]} {
		name := p.container.Name
		pause, err := c.beforeStop(p)
		if err != nil {
			c.t.Errorf("run the preStop hook of %s: %v", name, err)
		}
		if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
			c.t.Errorf("end %s: %v", name, err)
		}
		grace := time.Duration(*c.manifests.workloads[name].pod.Spec.TerminationGracePeriodSeconds)*time.Second - pause
		select {
		case <-p.Done:
			c.t.Logf("%s has ended: %v", name, p.Cmd.ProcessState)
		case <-time.After(grace):
			c.t.Errorf("%s has not ended within %v", name, grace)
		}
	}
}

// beforeStop runs the preStop hook of a pod. If the hook only sleeps, beforeStop returns the
// time instead.
func (c *cluster) beforeStop(p *pod) (time.Duration, error) {
	l := p.container.Lifecycle
	switch {
	case l == nil || l.PreStop == nil:
		return 0, nil
	case l.PreStop.Sleep != nil:
		return time.Duration(l.PreStop.Sleep.Seconds) * time.Second, nil
	case l.PreStop.Exec == nil:
		return 0, fmt.Errorf("the test does not know how to do %v", l.PreStop)
	}
	command := make([]string, len(l.PreStop.Exec.Command))
	for i, word := range l.PreStop.Exec.Command {
		command[i] = p.place(word)
	}
	text, err := exec.CommandContext(c.t.Context(), p.Cmd.Path, command[1:]...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%q: %w\n%s", command, err, text)
	}
	return 0, nil
}

// place returns the path on this machine of a path in the container.
func (p *pod) place(text string) string {
	for _, mount := range p.container.VolumeMounts {
		text = strings.ReplaceAll(text, mount.MountPath+"/", p.dir+mount.MountPath+"/")
	}
	return text
}
