package queue_test

import (
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestPartitionWhoseAnswersAreLostIsQueuedAndAckedOnce(t *testing.T) {
	q, loseAnswerTo := queuetest.StartLossy(t)
	loseAnswerTo("w.imp.a")
	publish(t, q, part("imp", "a"))
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 1 {
		t.Fatalf("Outstanding = %+v", got)
	}
	task := pull(t, q)
	loseAnswerTo("+ACK")
	expect.NoError(t, task.Ack(t.Context()))
	if got := queuetest.Outstanding(t, q, "imp"); len(got) != 0 {
		t.Errorf("Outstanding after Ack = %+v", got)
	}
}
