package buildinfo

import (
	"runtime/debug"
	"testing"
)

func TestRevision(t *testing.T) {
	at := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for _, tc := range []struct {
		settings []debug.BuildSetting
		want     string
	}{
		{nil, "unknown"},
		{[]debug.BuildSetting{at("vcs", "git"), at("vcs.revision", "7c855bc"), at("vcs.modified", "false")}, "7c855bc"},
		{[]debug.BuildSetting{at("vcs.revision", "7c855bc"), at("vcs.modified", "true")}, "7c855bc-dirty"},
	} {
		if got := revision(tc.settings); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.settings, got, tc.want)
		}
	}
}
