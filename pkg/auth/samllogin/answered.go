package samllogin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// answeredPrefix starts the keys of the bucket. The digest of a request's ID follows.
const answeredPrefix = "saml."

// answered are the requests whose response was accepted. There is one record for each, which is
// created only once. So a response cannot be accepted twice, by any coordinators. An assertion
// names one request, so that it cannot be, either.
type answered struct {
	bucket kv.Bucket
	now    func() time.Time
}

// answer is an answered request, as it is stored.
type answer struct {
	User  *auth.External `json:"user,omitempty"` // nil: taken
	Until time.Time      `json:"until"`          // from then on the request is refused by its age
}

func answeredKey(request string) string {
	digest := sha256.Sum256([]byte(request))
	return answeredPrefix + hex.EncodeToString(digest[:])
}

// add stores the user that the response to a request vouches for.
func (a answered) add(ctx context.Context, request string, user auth.External) error {
	value, err := json.Marshal(answer{&user, a.now().Add(life + finishWithin).UTC()})
	if err == nil {
		_, err = a.bucket.Create(ctx, answeredKey(request), value)
	}
	if errors.Is(err, kv.ErrConflict) {
		return refused("its request was answered before")
	}
	if err != nil {
		return fmt.Errorf("store a login: %w", err)
	}
	return nil
}

// take returns the user that was added for a request. Of several calls, one gets the user.
func (a answered) take(ctx context.Context, request string) (auth.External, error) {
	key := answeredKey(request)
	stored, revision, err := a.read(ctx, key)
	if errors.Is(err, kv.ErrNotFound) || err == nil && stored.User == nil {
		return auth.External{}, refused("there is none for this browser, or its login was finished before")
	}
	if err != nil {
		return auth.External{}, fmt.Errorf("read a login: %w", err)
	}
	value, err := json.Marshal(answer{Until: stored.Until})
	if err == nil {
		_, err = a.bucket.Update(ctx, key, value, revision)
	}
	if errors.Is(err, kv.ErrConflict) {
		return auth.External{}, refused("its login was finished before")
	}
	if err != nil {
		return auth.External{}, fmt.Errorf("finish a login: %w", err)
	}
	return *stored.User, nil
}

func (a answered) read(ctx context.Context, key string) (stored answer, revision uint64, err error) {
	value, revision, err := a.bucket.GetLinearized(ctx, key)
	if err == nil {
		err = json.Unmarshal(value, &stored)
	}
	return stored, revision, err
}

// margin is how long a record is kept after its time, for coordinators whose clocks are behind.
const margin = 10 * time.Minute

// sweep removes the records of requests that are refused by their age.
func (a answered) sweep(ctx context.Context) error {
	keys, err := a.bucket.Keys(ctx, answeredPrefix)
	if err != nil {
		return fmt.Errorf("list logins: %w", err)
	}
	for _, key := range keys {
		if err := a.forget(ctx, key); err != nil && !errors.Is(err, kv.ErrNotFound) && !errors.Is(err, kv.ErrConflict) {
			return fmt.Errorf("forget a login: %w", err)
		}
	}
	return nil
}

func (a answered) forget(ctx context.Context, key string) error {
	value, revision, err := a.bucket.Get(ctx, key)
	if err != nil {
		return err
	}
	var stored answer
	if json.Unmarshal(value, &stored) == nil && a.now().Before(stored.Until.Add(margin)) {
		return nil
	}
	return a.bucket.Delete(ctx, key, revision)
}
