package branchqueue

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// among returns the queues of one of several coordinators, which waits for a claimed
// branch for the given time.
func among(q *backend.Backend, patience time.Duration) *Queues {
	return New(Config{
		Leases: q.Leases, Holder: "test", Alone: func() bool { return false }, Patience: patience, Now: time.Now,
		Log: slog.New(slog.DiscardHandler),
	})
}

// claims returns the names of the branches that are claimed.
func claims(t *testing.T, q *backend.Backend) []string {
	t.Helper()
	names, err := q.Leases.Held(t.Context(), leasePrefix)
	expect.NoError(t, err)
	return names
}

// take waits for the turn of the branch main.
func take(t *testing.T, q *Queues) *Turn {
	t.Helper()
	turn, err := q.Wait(t.Context(), "main", 1)
	expect.NoError(t, err)
	return turn
}

// waitBehind waits for the turn of the branch main behind the imports that wait already.
// It returns where the turn comes.
func waitBehind(t *testing.T, q *Queues) <-chan *Turn {
	t.Helper()
	before := q.waiting("main")
	turn := make(chan *Turn, 1)
	go func() {
		got, err := q.Wait(t.Context(), "main", 1)
		if err != nil {
			t.Error(err)
		}
		turn <- got
	}()
	expect.Eventually(t, "the import waits", func() bool { return q.waiting("main") > before })
	return turn
}

func TestAnErrorOfTheQueueIsLogged(t *testing.T) {
	t.Parallel()
	nats := queuetest.Start(t)
	var text transcript.Buffer
	q := among(nats, time.Hour)
	q.cfg.Log = slog.New(slog.NewTextHandler(&text, nil))
	turn := take(t, q)
	nats.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if turn.claimIf(ended, false); text.String() != "" {
		t.Errorf("logged %q though the context has ended", text.String())
	}
	for n, contended := range []bool{false, true} { // it looks for a claim, or claims at once
		turn.claimIf(t.Context(), contended)
		if strings.Count(text.String(), `level=WARN msg="claim a branch" branch=main`) != n+1 {
			t.Errorf("contended %t: logged %q, want one more warning", contended, text.String())
		}
	}
}

func TestTheOnlyCoordinatorClaimsNoBranch(t *testing.T) {
	t.Parallel()
	nats := queuetest.Start(t)
	q, onlyOne := among(nats, time.Hour), true
	q.cfg.Alone = func() bool { return onlyOne }
	turn := take(t, q)
	if turn.Claim(t.Context()); len(claims(t, nats)) > 0 {
		t.Error("the only coordinator claims a branch")
	}
	onlyOne = false
	if turn.Claim(t.Context()); len(claims(t, nats)) != 1 {
		t.Error("one of two coordinators does not claim a branch")
	}
	turn.Release(t.Context())
}

// TestAClaimGoesWithTheTurn has three imports take the turn one after another. The claim
// goes to the next import until claimFor has passed, and ends with the last turn.
func TestAClaimGoesWithTheTurn(t *testing.T) {
	t.Parallel()
	nats := queuetest.Start(t)
	q, begun := among(nats, time.Hour), time.Now()
	var passed atomic.Int64
	q.cfg.Now = func() time.Time { return begun.Add(time.Duration(passed.Load())) }
	first := take(t, q)
	first.Claim(t.Context())
	second, third := waitBehind(t, q), waitBehind(t, q)
	passed.Store(int64(claimFor - 1))
	if first.Release(t.Context()); len(claims(t, nats)) != 1 {
		t.Error("the branch is not claimed any more before claimFor has passed")
	}
	turn := <-second
	passed.Store(int64(claimFor))
	turn.Release(t.Context())
	turn = <-third
	if left := claims(t, nats); len(left) > 0 || !turn.branch.claim.next.After(begun.Add(claimFor)) {
		t.Errorf("after %v the branch is still claimed: %v", claimFor, left)
	}
	turn.Claim(t.Context())
	if len(claims(t, nats)) != 1 {
		t.Error("the branch is not claimed though imports contend for it")
	}
	if turn.Release(t.Context()); len(claims(t, nats)) > 0 {
		t.Errorf("no import waits, and the branch is claimed: %v", claims(t, nats))
	}
}

// TestAClaimIsWaitedForInVainOnce has another coordinator keep a branch claimed while two
// imports wait for it. Only the first one waits for the claim.
func TestAClaimIsWaitedForInVainOnce(t *testing.T) {
	t.Parallel()
	nats := queuetest.Start(t)
	q := among(nats, 0)
	_, err := nats.Leases.Acquire(t.Context(), leasePrefix+"main", "another")
	expect.NoError(t, err)
	first := take(t, q)
	first.Claim(t.Context())
	second := waitBehind(t, q)
	q.cfg.Patience = time.Hour
	first.Release(t.Context())
	turn := <-second
	turn.Claim(t.Context()) // returns at once
	turn.Release(t.Context())
}
