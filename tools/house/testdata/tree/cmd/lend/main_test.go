package main

import (
	"testing"

	"example.com/library/pkg/shelf"
	"example.com/library/pkg/shelftest"
)

func TestLend(*testing.T) {
	shelf.New().Sort()
	shelftest.Fake()
}
