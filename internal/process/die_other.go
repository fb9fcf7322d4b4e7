//go:build !linux

package process

import "os/exec"

// DieWithParent does nothing on systems that do not support it: the program outlives a parent
// that is killed.
func DieWithParent(*exec.Cmd) {}
