//go:build !linux

package process

import "os/exec"

// DieWithParent does nothing where a system cannot do that: a program whose parent
// was killed goes on.
func DieWithParent(*exec.Cmd) {}
