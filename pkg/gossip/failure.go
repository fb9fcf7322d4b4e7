package gossip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// subjectFailures is where workers ask a coordinator to end an import. Coordinators share the
// requests as members of a queue group.
const (
	subjectFailures = "ask.fail"
	coordinators    = "coordinators"
)

// maxFailure is how many bytes of a text are sent, and taken.
const maxFailure = 64 << 10

// Failure is why an import cannot go on.
type Failure struct {
	ImportID string `json:"import"`
	Text     string `json:"text"`
}

// shortened returns a failure with no more than that of its text.
func (f Failure) shortened() Failure {
	if len(f.Text) > maxFailure {
		f.Text = strings.ToValidUTF8(f.Text[:maxFailure], "") + "…"
	}
	return f
}

// ReportFailure asks a coordinator to end an import, and returns once one has done that. Workers may
// not write the records of imports themselves.
func (g *Gossip) ReportFailure(ctx context.Context, f Failure) error {
	data, _ := json.Marshal(f.shortened()) // strings always encode
	err := g.conn.Retry(ctx, "write", func(ctx context.Context) error {
		answer, err := g.conn.NATS.RequestWithContext(ctx, subjectFailures, data)
		if err == nil && len(answer.Data) > 0 {
			err = errors.New(string(answer.Data))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("ask a coordinator to end import %s: %w", f.ImportID, err)
	}
	return nil
}

// TakeFailures calls take with failures that workers report, until ctx ends, by one goroutine at a
// time. Each failure is taken by one of the processes that call it, or again by one of them if take
// returns an error.
func (g *Gossip) TakeFailures(ctx context.Context, take func(Failure) error) error {
	sub, err := g.conn.NATS.QueueSubscribe(subjectFailures, coordinators, func(m *nats.Msg) {
		var f Failure
		err := json.Unmarshal(m.Data, &f)
		if err == nil {
			err = take(f.shortened()) // whoever has a worker's credentials may have sent it
		}
		var answer []byte
		if err != nil {
			answer = []byte(err.Error())
		}
		_ = m.Respond(answer) // a lost answer is asked for again
	})
	if err != nil {
		return fmt.Errorf("take failures of imports: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	return nil
}
