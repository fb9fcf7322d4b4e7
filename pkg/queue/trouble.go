package queue

import (
	"context"
	"encoding/json"
	"strings"
)

// topicTrouble is where workers tell what they met.
const topicTrouble = "trouble"

// maxTrouble is how many bytes of a text are told.
const maxTrouble = 1000

// Trouble is why a partition does not get on: the error of a worker that gives it
// back to be tried again.
type Trouble struct {
	ImportID    string `json:"import"`
	PartitionID string `json:"partition"`
	Text        string `json:"text"` // "": it gets on again
}

// TellTrouble tells all coordinators. They may not hear it.
func (q *Queue) TellTrouble(t Trouble) error {
	if len(t.Text) > maxTrouble {
		t.Text = strings.ToValidUTF8(t.Text[:maxTrouble], "") + "…"
	}
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return q.Tell(topicTrouble, data)
}

// HearTrouble calls f with what workers tell until ctx ends, by one goroutine at a
// time.
func (q *Queue) HearTrouble(ctx context.Context, f func(Trouble)) error {
	return q.Hear(ctx, topicTrouble, func(data []byte) {
		var t Trouble
		if json.Unmarshal(data, &t) == nil { // else of another version, perhaps
			f(t)
		}
	})
}
