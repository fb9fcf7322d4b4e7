package measure

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

// WriteResults writes files, by name, into the directory, and creates it if it is missing.
func WriteResults(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of results: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("write a result: %w", err)
		}
	}
	return nil
}
