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

// fits fails for each pod that has taken more memory than it is given.
func (c *cluster) fits() {
	for name, pods := range c.pods {
		for i, p := range pods {
			limit := p.container.Resources.Limits.Memory().Value()
			peak, err := p.peak()
			if err != nil || peak > limit {
				c.t.Errorf("%s %d took %d MiB, its limit is %d MiB: %v", name, i, peak>>20, limit>>20, err)
			}
		}
	}
}

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peak is the most memory that the process has had.
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

// end ends pods as Kubernetes does: by what is to be done before, then SIGTERM.
// One that stops later than it may would be killed.
func (c *cluster) end() {
	for _, p := range []*pod{c.pods["worker"][0], c.pods["coordinator"][0], c.pods["nats"][0]} {
		name := p.container.Name
		pause, err := c.beforeStop(p)
		if err != nil {
			c.t.Errorf("before the end of %s: %v", name, err)
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

// beforeStop does what a pod does before SIGTERM, and returns how long a pause is
// that is only waiting.
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

// place is where a path of the container lies.
func (p *pod) place(text string) string {
	for _, mount := range p.container.VolumeMounts {
		text = strings.ReplaceAll(text, mount.MountPath+"/", p.dir+mount.MountPath+"/")
	}
	return text
}
