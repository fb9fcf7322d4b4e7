package measure

import (
	"encoding/json"
	"os"
	"strings"
)

// Load returns the machine's load averages of 1, 5 and 15 minutes, or "" if they cannot be
// read.
func Load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// JSON returns a report as indented JSON, for a file. It panics if the report cannot be
// encoded.
func JSON(report any) []byte {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(text, '\n')
}
