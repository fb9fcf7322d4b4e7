//go:build linux || darwin

package natsd

import "syscall"

// roomOnDisk returns how many more bytes a process may write to a directory's disk.
func roomOnDisk(dir string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:unconvert // the types differ between systems
}
