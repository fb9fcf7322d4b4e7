// Package buildinfo tells which build a program is.
package buildinfo

import "runtime/debug"

// Version returns the version of the module that the program was built from:
// a release, a pseudo-version of a commit, or "(devel)"; "unknown" if the build
// left it out.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
