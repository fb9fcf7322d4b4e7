// Command worker takes partitions of imports from NATS, lists them, and writes their
// ranges. Run as many as the work needs.
package main

import (
	"os"

	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

func main() {
	os.Exit(node.Main(node.Command("worker", "List partitions and write their ranges", settings.Worker, node.Worker)))
}
