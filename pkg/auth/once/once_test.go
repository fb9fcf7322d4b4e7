package once_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func TestOneUseIsTheFirst(t *testing.T) {
	bucket := &kvtest.Memory{}
	var firsts atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if first, err := once.New(bucket, at(start)).Use(t.Context(), "state", start.Add(time.Minute)); err != nil {
				t.Error(err)
			} else if first {
				firsts.Add(1)
			}
		})
	}
	all.Wait()
	if n := firsts.Load(); n != 1 {
		t.Errorf("%d uses were the first", n)
	}
	if first, err := once.New(bucket, at(start)).Use(t.Context(), "other", start.Add(time.Minute)); !first || err != nil {
		t.Errorf("another one: %t, %v", first, err)
	}
}

func TestWhatIsForgottenIsRefusedByItsTime(t *testing.T) {
	bucket, until := &kvtest.Memory{}, start.Add(time.Hour)
	use := func(now time.Time, want bool) {
		t.Helper()
		if first, err := once.New(bucket, at(now)).Use(t.Context(), "state", until); first != want || err != nil {
			t.Errorf("at %v: %t, %v", now, first, err)
		}
	}
	sweep := func(now time.Time, left int) {
		t.Helper()
		expect.NoError(t, once.New(bucket, at(now)).Sweep(t.Context()))
		keys, err := bucket.Keys(t.Context(), "")
		expect.NoError(t, err)
		if len(keys) != left {
			t.Errorf("at %v, %q are left", now, keys)
		}
	}
	use(start, true)
	_, err := bucket.Create(t.Context(), "u.other", nil)
	expect.NoError(t, err)
	sweep(until, 2) // another clock may be behind
	use(until.Add(-time.Second), false)
	sweep(until.Add(time.Hour), 1)
	use(until, false)
}

type broken struct{ kv.Bucket }

func (broken) Create(context.Context, string, []byte) (uint64, error) {
	return 0, errors.New("NATS is away")
}

func TestAnOutageIsNoFirstUse(t *testing.T) {
	if first, err := once.New(broken{}, at(start)).Use(t.Context(), "state", start.Add(time.Minute)); first || err == nil {
		t.Errorf("%t, %v", first, err)
	}
}
