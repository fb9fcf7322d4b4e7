// Command boards writes the boards for Grafana into the directory above: rangefleet-overview.json,
// rangefleet-import.json and rangefleet-fleet.json.
//
//go:generate go run . ..
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "boards:", err)
		os.Exit(1)
	}
}

// run writes all boards into the directory that is the only argument.
func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("got %d arguments, want a directory", len(args))
	}
	for _, b := range boards() {
		if err := write(args[0], b); err != nil {
			return err
		}
	}
	return nil
}

// boards returns all boards, the one to begin with first.
func boards() []board { return []board{overview(), oneImport(), fleet()} }

// write writes a board into a file of the directory that has the name of its UID.
func write(dir string, b board) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(b.render()); err != nil {
		return fmt.Errorf("encode the board %s: %w", b.uid, err)
	}
	if err := os.WriteFile(filepath.Join(dir, b.uid+".json"), text.Bytes(), 0o644); err != nil { //nolint:gosec // everybody may read it
		return fmt.Errorf("write the board %s: %w", b.uid, err)
	}
	return nil
}
