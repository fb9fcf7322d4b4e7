// Command check looks for the secrets that test suites planted in a directory in what their
// processes wrote there. It ends with 1 if it finds one.
//
// usage: check DIRECTORY
package main

import (
	"fmt"
	"os"

	"github.com/rangefleet/rangefleet/internal/canary"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: check DIRECTORY")
		os.Exit(2)
	}
	r, err := canary.Check(os.Args[1])
	for _, f := range r.Found {
		fmt.Fprintf(os.Stderr, "a secret (%s) in: %s\n", f.Form, f.Line)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
	}
	if err != nil || len(r.Found) > 0 {
		os.Exit(1)
	}
	fmt.Printf("none of %d secrets is in %d KiB of logs, errors, metrics and audit logs\n", r.Secrets, r.Bytes>>10)
}
