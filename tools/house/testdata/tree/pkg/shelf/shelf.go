// Package shelf has names that are used and names that are not.
package shelf

import "fmt"

// Shelf is used by cmd/lend.
type Shelf struct {
	Books  []Book // used by cmd/lend
	Clock  func() // set by a test
	Width  int    // unused
	Height int    `json:"height"`
}

// Book is used as part of Books.
type Book struct{ Title string }

// Dust is unused.
type Dust struct{}

// New is used by cmd/lend.
func New() *Shelf { return &Shelf{} }

// Sort is used by a test of another package, which does not count.
func (s *Shelf) Sort() {}

// Lend is used by a test in another module, which counts.
func (s *Shelf) Lend() {}

// String implements fmt.Stringer.
func (s *Shelf) String() string { return fmt.Sprint(len(s.Books)) }

// Count implements an interface of cmd/lend.
func (s *Shelf) Count(shelves int) int { return shelves }

// Room enumerates rooms.
type Room int

// Rooms.
const (
	Cellar Room = iota
	Attic
)

// Where returns a room. It is used by cmd/lend.
func Where() Room { return Attic }

// Limit is unused.
const Limit = 3

// accepted is listed as an exception.
func (s *Shelf) Accepted() {}
