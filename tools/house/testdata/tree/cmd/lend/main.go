// Command lend uses names of others.
package main

import (
	"example.com/library/internal/rig"
	"example.com/library/pkg/shelf"
)

type counter interface{ Count(n int) int }

func main() {
	s := shelf.New()
	var c counter = s
	_, _, _ = s.Books[0].Title, shelf.Where(), c.Count(1)
	_, _ = rig.Crowded{}, rig.Named{}
}
