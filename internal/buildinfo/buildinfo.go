// Package buildinfo returns the version and the commit that a program was built from.
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

// Revision returns the commit that the program was built from, with "-dirty" if files were changed
// since. It returns "unknown" if the build does not record it.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return revision(info.Settings)
}

func revision(settings []debug.BuildSetting) string {
	found, dirty := "unknown", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			found = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return found + dirty
}
