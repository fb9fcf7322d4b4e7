// Package buildinfo returns the version that a program was built from.
package buildinfo

import "runtime/debug"

// Version returns the version of the program's main module: a release, a pseudo-version of a
// commit, or "(devel)". It returns "unknown" if the build does not record it.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
