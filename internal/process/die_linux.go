package process

import (
	"os/exec"
	"syscall"
)

// DieWithParent makes the system kill the program when this process ends, however it ends.
func DieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
