// Package auth tells who sent a request, by what the request presents: an access key with its
// secret, a token, or the cookie of a session. It slows down clients that guess secrets, and
// encrypts text that clients carry. Of a secret only the digest is kept, in memory and in the
// bucket that coordinators share.
//
// Users, their keys and sessions are in pkg/auth/users. Whatever a caller presents is checked
// against them, so that nothing outlives its user.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Pair authenticates the holder of one pair of keys. It is immutable.
type Pair struct {
	AccessKeyID string `json:"access_key_id"`
	// SecretDigest is the SHA-256 of the secret. Generated secrets have 160 random bits,
	// so that a digest without salt reveals nothing.
	SecretDigest [sha256.Size]byte `json:"secret_sha256"`
}

// NewPair returns the pair of an ID and a secret.
func NewPair(accessKeyID, secret string) Pair {
	return Pair{AccessKeyID: accessKeyID, SecretDigest: sha256.Sum256([]byte(secret))}
}

// Authenticate returns the user of an access key: the key itself, or "" if it is not that of
// the pair. ok says whether the secret is right, too. The check takes constant time.
func (p Pair) Authenticate(_ context.Context, accessKeyID, secret string) (user string, ok bool, err error) {
	id, want := sha256.Sum256([]byte(accessKeyID)), sha256.Sum256([]byte(p.AccessKeyID))
	digest := sha256.Sum256([]byte(secret))
	known := subtle.ConstantTimeCompare(id[:], want[:])
	equal := known & subtle.ConstantTimeCompare(digest[:], p.SecretDigest[:])
	if known == 0 {
		return "", false, nil
	}
	return p.AccessKeyID, equal == 1, nil
}

// key is the key of the pair in its bucket.
const key = "pair"

// Open returns the pair that is stored in the bucket. If there is none, it generates one,
// stores it, and returns its secret, which cannot be retrieved again. Otherwise secret is
// empty.
func Open(ctx context.Context, bucket kv.Bucket) (p Pair, secret string, err error) {
	err = kv.RetryConflicts(ctx, func() error { // in conflict with a coordinator that has just created one
		p, secret, err = open(ctx, bucket)
		return err
	})
	if err != nil {
		return Pair{}, "", fmt.Errorf("open the API's keys: %w", err)
	}
	return p, secret, nil
}

func open(ctx context.Context, bucket kv.Bucket) (p Pair, secret string, err error) {
	value, _, err := bucket.Get(ctx, key)
	if err == nil {
		if err = json.Unmarshal(value, &p); err != nil {
			err = fmt.Errorf("%w: set auth.access_key_id and auth.secret_access_key, which are used instead, or delete the record and start again, to get new keys",
				fault.Unreadable(kv.BucketAuth, key, err))
		}
		return p, "", err
	}
	if !errors.Is(err, kv.ErrNotFound) {
		return Pair{}, "", err
	}
	secret = rand.Text() + rand.Text()[:6]
	p = NewPair("RF"+rand.Text()[:18], secret)
	if value, err = json.Marshal(p); err != nil {
		return Pair{}, "", err
	}
	_, err = bucket.Create(ctx, key, value)
	return p, secret, err
}
