//go:build !linux && !darwin

package natsd

// roomOnDisk is not known on this system.
func roomOnDisk(string) (int64, bool) { return 0, false }
