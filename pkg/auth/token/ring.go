package token

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rangefleet/rangefleet/pkg/auth/recent"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// What own tokens claim.
const (
	// ownIssuer is the issuer of own tokens.
	ownIssuer = "rangefleet"
	audience  = "login"
)

const (
	ringKey = "ring" // of the bucket
	keySize = sha256.Size

	// settle is how old a key must be to sign, if there is an older one: all processes know
	// it by then, even if their clocks differ.
	settle = time.Minute
	// rotateAfter is the age of the newest key after which Maintain adds another one.
	rotateAfter = 30 * 24 * time.Hour
)

// Claims are what an own token says.
type Claims struct {
	User    string
	Session string
	Issued  time.Time
	Expires time.Time
}

// Ring holds the keys that sign own tokens. All coordinators share it. Each key is for one
// algorithm, HMAC with SHA-256. Methods may be called concurrently.
type Ring struct {
	bucket kv.Bucket
	now    func() time.Time
	recent *recent.Cache[keys]
	parser *jwt.Parser
}

// key is a key as it is stored.
type key struct {
	ID      string    `json:"kid"`
	HMAC    []byte    `json:"hs256"` // the key of HMAC with SHA-256
	Created time.Time `json:"created"`
}

// keys are the keys of the ring, the oldest first.
type keys []key

// OpenRing returns the ring that is stored in the bucket. If there is none, it makes one.
func OpenRing(ctx context.Context, bucket kv.Bucket, now func() time.Time) (*Ring, error) {
	r := &Ring{bucket: bucket, now: now, parser: parser(ownIssuer, audience, now, jwt.SigningMethodHS256.Alg())}
	r.recent = recent.New(recent.Config[keys]{Now: now, Most: 1, Read: func(ctx context.Context, _ string) (keys, error) {
		k, _, err := r.read(ctx)
		return k, err
	}})
	err := r.change(ctx, func(k keys) keys {
		if len(k) > 0 {
			return k
		}
		return keys{r.newKey()}
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Ring) newKey() key {
	k := key{ID: rand.Text(), HMAC: make([]byte, keySize), Created: r.now().UTC()}
	_, _ = rand.Read(k.HMAC) // it never fails
	return k
}

// read returns the keys that are stored at some moment since the call, and their revision.
func (r *Ring) read(ctx context.Context) (k keys, rev uint64, err error) {
	value, rev, err := r.bucket.GetLinearized(ctx, ringKey)
	if err != nil {
		return nil, 0, err
	}
	err = json.Unmarshal(value, &k)
	if err == nil && !k.valid() {
		err = errors.New("it has keys of another size, or none")
	}
	if err != nil {
		return nil, rev, fault.Unreadable(kv.BucketAuth, ringKey, err)
	}
	return k, rev, nil
}

func (k keys) valid() bool {
	return len(k) > 0 && !slices.ContainsFunc(k, func(k key) bool { return k.ID == "" || len(k.HMAC) != keySize })
}

// change replaces the keys by what f makes of them, if that is another number of keys or has
// another newest one. f gets nil if there are none, and must not change what it gets.
func (r *Ring) change(ctx context.Context, f func(keys) keys) error {
	defer r.recent.Changed()
	err := kv.RetryConflicts(ctx, func() error {
		old, rev, err := r.read(ctx)
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return err
		}
		k := f(old)
		if len(k) == len(old) && k.newest().ID == old.newest().ID {
			return nil
		}
		value, err := json.Marshal(k)
		if err != nil {
			return err
		}
		if rev == 0 {
			_, err = r.bucket.Create(ctx, ringKey, value)
		} else {
			_, err = r.bucket.Update(ctx, ringKey, value, rev)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("change the keys of tokens: %w", err)
	}
	return nil
}

func (k keys) newest() key {
	if len(k) == 0 {
		return key{}
	}
	return k[len(k)-1]
}

// signing returns the key that signs at a time: the newest one that all processes know.
func (k keys) signing(now time.Time) key {
	for _, key := range slices.Backward(k) {
		if !now.Before(key.Created.Add(settle)) {
			return key
		}
	}
	return k[0]
}

// needed returns the keys that still verify tokens at a time. A key signs until a newer one
// does.
func (k keys) needed(now time.Time) keys {
	first := 0
	for i := 1; i < len(k); i++ {
		if now.After(k[i].Created.Add(settle + maxLife + 2*leeway)) {
			first = i
		}
	}
	return k[first:]
}

// Replace removes all keys, as they may be known to others, and makes a new one. All tokens end.
// For up to recent.MaxAge other processes may refuse new ones.
func (r *Ring) Replace(ctx context.Context) error {
	fresh := r.newKey()
	return r.change(ctx, func(keys) keys { return keys{fresh} })
}

// Maintain rotates the keys if the newest one is a month old, and removes those that are not
// needed any more. It may be called at any time, and in any number of processes.
func (r *Ring) Maintain(ctx context.Context) error {
	return r.change(ctx, func(k keys) keys {
		if now := r.now(); !now.Before(k.newest().Created.Add(rotateAfter)) {
			k = append(slices.Clone(k), r.newKey())
		}
		return k.needed(r.now())
	})
}

// Issue returns a token of the claims, except that it is issued now. It expires after maxLife at
// the latest.
func (r *Ring) Issue(ctx context.Context, c Claims) (string, error) {
	k, err := r.recent.Get(ctx, ringKey)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	now := r.now()
	if most := now.Add(maxLife); c.Expires.After(most) {
		c.Expires = most
	}
	key := k.signing(now)
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: ownIssuer, Audience: jwt.ClaimStrings{audience}, Subject: c.User, ID: c.Session,
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(c.Expires),
	})
	t.Header["kid"] = key.ID
	return t.SignedString(key.HMAC)
}

// Verify returns what an own token says, or ErrInvalid.
func (r *Ring) Verify(ctx context.Context, text string) (Claims, error) {
	var c jwt.RegisteredClaims
	err := verify(r.parser, text, &c, r.now(), func(kid, _ string) (any, error) {
		k, err := r.recent.Get(ctx, ringKey)
		if err != nil {
			return nil, unavailable{fmt.Errorf("verify a token: %w", err)}
		}
		i := slices.IndexFunc(k, func(k key) bool { return k.ID == kid })
		if i < 0 {
			return nil, errors.New("unknown key")
		}
		return k[i].HMAC, nil
	})
	if err != nil {
		return Claims{}, err
	}
	if c.ID == "" || c.IssuedAt == nil {
		return Claims{}, invalid("claims are missing")
	}
	return Claims{User: c.Subject, Session: c.ID, Issued: c.IssuedAt.Time, Expires: c.ExpiresAt.Time}, nil
}
