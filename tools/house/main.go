// Command house checks rules of this repository that published linters do not have: types have few
// methods, exported names are used, and packages are documented. "make lint" runs it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	root := flag.String("root", ".", "`directory` of the repository")
	list := flag.String("exceptions", "", "`file` of accepted findings with their reasons")
	flag.Parse()
	left, err := run(*root, *list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(2)
	}
	for _, line := range left {
		fmt.Println(line)
	}
	if len(left) > 0 {
		os.Exit(1)
	}
}

// run returns the findings that are not accepted, and the exceptions that are not needed.
func run(root, list string) ([]string, error) {
	var accepted exceptions
	if list != "" {
		text, err := os.ReadFile(list)
		if err != nil {
			return nil, fmt.Errorf("read the exceptions: %w", err)
		}
		if accepted, err = parseExceptions(list, string(text)); err != nil {
			return nil, err
		}
	}
	found, err := findings(root)
	if err != nil {
		return nil, err
	}
	return accepted.apply(found), nil
}

// findings returns the findings of all modules of the repository.
func findings(root string) ([]finding, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	tree, err := load(root)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(tree.undocumented(), tree.crowded(), tree.unused())
	slices.SortFunc(all, finding.compare)
	return slices.Compact(all), nil
}
