// Package loan is a module of its own.
package loan

import (
	"testing"

	"example.com/library/pkg/shelf"
)

func TestLoan(*testing.T) { shelf.New().Lend() }
