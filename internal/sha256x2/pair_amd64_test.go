package sha256x2_test

import (
	"testing"

	"github.com/rangefleet/rangefleet/internal/sha256x2"
)

// TestTwinWithoutInstructions is TestTwin without SHA instructions.
func TestTwinWithoutInstructions(t *testing.T) {
	sha256x2.WithoutInstructions(func() { TestTwin(t) })
}
