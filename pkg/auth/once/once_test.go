package once_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
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
	if first, err := once.New(bucket, at(start)).Leave(t.Context(), "answer", []byte("ann"), until); !first || err != nil {
		t.Errorf("Leave: %t, %v", first, err)
	}
	_, err := bucket.Create(t.Context(), "u.other", nil)
	expect.NoError(t, err)
	sweep(until, 3) // another clock may be behind
	use(until.Add(-time.Second), false)
	sweep(until.Add(time.Hour), 1)
	use(until, false)
}

// What former versions remembered of SAML is forgotten, too, but not before they need it no more.
func TestFormerRecordsAreForgotten(t *testing.T) {
	const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	until := start.Add(time.Hour)
	for value, wants := range map[string][2]bool{ // whether it is kept until then, and after an hour more
		`{"user":{"subject":"ann"},"until":"2026-11-30T13:00:00Z"}`: {true, false},
		`{"until":"2026-11-30T13:00:00Z"}`:                          {true, false},
		`{"until":"2026-11-30T13:50:01Z"}`:                          {true, true},
		`{"until":"soon"}`:                                          {false, false},
		`no JSON`:                                                   {false, false},
	} {
		bucket := &kvtest.Memory{}
		for _, key := range []string{"saml." + digest, "samlkey"} {
			_, err := bucket.Create(t.Context(), key, []byte(value))
			expect.NoError(t, err)
		}
		for i, now := range []time.Time{until, until.Add(time.Hour)} {
			expect.NoError(t, once.New(bucket, at(now)).Sweep(t.Context()))
			keys, err := bucket.Keys(t.Context(), "")
			expect.NoError(t, err)
			if kept := slices.Contains(keys, "saml."+digest); kept != wants[i] || !slices.Contains(keys, "samlkey") {
				t.Errorf("%s at %v: %q are left", value, now, keys)
			}
		}
	}
}

type broken struct{ kv.Bucket }

func (broken) Create(context.Context, string, []byte) (uint64, error) {
	return 0, errors.New("NATS is away")
}

func (broken) GetLinearized(context.Context, string) ([]byte, uint64, error) {
	return nil, 0, errors.New("NATS is away")
}

func TestAnOutageIsNoFirstUse(t *testing.T) {
	s := once.New(broken{}, at(start))
	if first, err := s.Use(t.Context(), "state", start.Add(time.Minute)); first || err == nil {
		t.Errorf("Use: %t, %v", first, err)
	}
	if value, ok, err := s.Take(t.Context(), "state"); value != nil || ok || err == nil {
		t.Errorf("Take: %q, %t, %v", value, ok, err)
	}
}

// race has ten processes take what is left at once, and returns how many of them get it.
func race(t *testing.T, bucket kv.Bucket, what, left string) int32 {
	var got atomic.Int32
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if value, ok, err := once.New(bucket, at(start)).Take(t.Context(), what); err != nil {
				t.Error(err)
			} else if ok && string(value) == left {
				got.Add(1)
			}
		})
	}
	all.Wait()
	return got.Load()
}

// What is left with the first use is taken once, by any process, and not after its time.
func TestWhatIsLeftIsTakenOnce(t *testing.T) {
	for name, bucket := range map[string]kv.Bucket{"memory": &kvtest.Memory{}, "jetstream": queuetest.Start(t).Bucket(kv.BucketAuth)} {
		t.Run(name, func(t *testing.T) {
			ctx, s, until := t.Context(), once.New(bucket, at(start)), start.Add(time.Minute)
			leave := func(what, value string, want bool) {
				t.Helper()
				if first, err := s.Leave(ctx, what, []byte(value), until); first != want || err != nil {
					t.Errorf("Leave(%s) = %t, %v", what, first, err)
				}
			}
			takes := func(s *once.Store, what, want string, wantOK bool) {
				t.Helper()
				if value, ok, err := s.Take(ctx, what); ok != wantOK || string(value) != want || err != nil {
					t.Errorf("Take(%s) = %q, %t, %v, want %q, %t", what, value, ok, err, want, wantOK)
				}
			}
			leave("login", "ann\nand more", true)
			leave("login", "eve", false)
			leave("empty", "", true)
			leave("late", "ann", true)
			if first, err := s.Use(ctx, "used", until); !first || err != nil {
				t.Errorf("Use = %t, %v", first, err)
			}
			leave("used", "eve", false)
			if n := race(t, bucket, "login", "ann\nand more"); n != 1 {
				t.Errorf("%d calls took it", n)
			}
			takes(s, "empty", "", true)
			takes(s, "empty", "", false)
			takes(s, "used", "", false)
			takes(s, "none", "", false)
			takes(once.New(bucket, at(until)), "late", "", false)
			leave("login", "eve", false) // though it was taken
			if first, err := s.Use(ctx, "login", until); first || err != nil {
				t.Errorf("Use of what was taken = %t, %v", first, err)
			}
			takes(s, "late", "ann", true)
		})
	}
}
