package node

import (
	"os"
	"runtime/debug"
)

// The memory budget of a process in bytes. It does not depend on the number of slots: what
// a process does shares it. Of the budget of a coordinator
//
//   - 72 MiB are for range files, of all slots, for requests, also those that a proxy hands
//     to a lakeFS server (server.Budget), and for files that landings compare
//     (limits.Comparisons): while these hold memory, fewer files begin
//     (rangewriter.Buffers). All requests and comparisons together may take 96 MiB;
//   - 48 MiB are for pages that are read ahead, of all slots (readahead.Limits);
//   - 32 MiB are for the cache of ranges and metaranges (limits.TableCache);
//   - the rest is for the program, the embedded NATS server, and covers. The covers and the
//     metarange of an import of 10^6 ranges, which 5 * 10^10 objects make, take 160 MiB:
//     they have room once its files are stored.
//
// A worker has neither requests nor a cache.
const (
	memoryCoordinator = 208 << 20 // with workers in its process or without
	memoryWorker      = 192 << 20
	memoryFiles       = 72 << 20
	memoryPages       = 48 << 20
)

// limitMemory makes the garbage collector keep the process to a budget, unless GOMEMLIMIT
// sets another one. Beyond it the collector runs more often.
func limitMemory(budget int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(budget)
	}
}
