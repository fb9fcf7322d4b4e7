// Command coordinator serves the import API, plans imports and commits them. Without
// settings it is a whole fleet in one process, with embedded NATS JetStream and workers.
package main

import (
	"os"

	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

func main() {
	cmd := node.Command("coordinator", "Serve the import API, plan imports and commit them", settings.Coordinator, node.Coordinator)
	cmd.AddCommand(demoCommand())
	os.Exit(node.Main(cmd))
}
