package covers_test

import "github.com/rangefleet/rangefleet/pkg/queue/queuetest"

var (
	cover = queuetest.Cover
	same  = queuetest.SameCover
)
