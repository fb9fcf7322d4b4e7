package measure

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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

// Median returns the median of at least one number.
func Median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// MedianOf returns the median of a number of each of at least one item.
func MedianOf[T any](items []T, number func(T) float64) float64 {
	all := make([]float64, len(items))
	for i, item := range items {
		all[i] = number(item)
	}
	return Median(all)
}

// Verdict says whether a target was met.
func Verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// Publish prints the text of a report. Unless dir is empty, it also writes name.txt, with the
// text, and name.json, with the report, to that directory.
func Publish(out io.Writer, dir, name, text string, report any) error {
	fmt.Fprint(out, "\n", text)
	if dir == "" {
		return nil
	}
	return WriteResults(dir, map[string][]byte{name + ".txt": []byte(text), name + ".json": JSON(report)})
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
