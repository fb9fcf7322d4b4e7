package queue_test

import "github.com/rangefleet/rangefleet/pkg/queue/queuetest"

var (
	part    = queuetest.Partition
	publish = queuetest.Publish
	pull    = queuetest.Pull
)
