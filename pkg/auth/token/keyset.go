package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// When the keys of an outside issuer are fetched.
const (
	fetchEvery   = 5 * time.Minute  // so that keys that the issuer withdraws are forgotten
	fetchAgain   = time.Minute      // least time between fetches because of unknown keys
	fetchFailed  = 10 * time.Second // least time after one that failed
	keysOutlive  = time.Hour        // how long keys are used while fetches fail
	fetchTimeout = 5 * time.Second
)

// Bounds of a key set.
const (
	maxPublicKeys = 100
	minRSA        = 2048 // bits
	maxRSA        = 8192
)

// publicKey is a key and the one algorithm that it is for.
type publicKey struct {
	kid, alg string
	key      any
}

// keySet is the public keys of an outside issuer. Its methods may be called concurrently.
type keySet struct {
	now     func() time.Time
	fetch   func(context.Context) ([]byte, error)
	flights singleflight.Group

	mu      sync.Mutex
	keys    []publicKey
	fetched time.Time // when the fetch of the keys began; zero if there was none
	tried   time.Time // when the last fetch began
	err     error     // of the last fetch
}

func newKeySet(now func() time.Time, fetch func(context.Context) ([]byte, error)) *keySet {
	return &keySet{now: now, fetch: fetch}
}

// find returns the key of an ID for an algorithm. It fetches the keys if they are old or have
// no such key, unless they were fetched a moment ago.
func (s *keySet) find(ctx context.Context, kid, alg string) (any, error) {
	if s.due(kid) {
		flight := s.flights.DoChan("", func() (any, error) { s.refresh(context.WithoutCancel(ctx)); return nil, nil })
		select {
		case <-ctx.Done():
			return nil, unavailable{ctx.Err()}
		case <-flight:
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(kid)
	switch {
	case s.fetched.IsZero() || s.now().Sub(s.fetched) >= keysOutlive, i < 0 && s.err != nil:
		return nil, unavailable{fmt.Errorf("fetch the keys of the issuer of tokens: %w", s.err)}
	case i < 0:
		return nil, errors.New("unknown key")
	case s.keys[i].alg != alg:
		return nil, errors.New("a key for another algorithm")
	}
	return s.keys[i].key, nil
}

func (s *keySet) index(kid string) int {
	return slices.IndexFunc(s.keys, func(k publicKey) bool { return k.kid == kid })
}

// due reports whether the keys should be fetched for a token that was signed by the key.
func (s *keySet) due(kid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.tried.IsZero() {
		return true
	}
	if s.err != nil {
		return now.Sub(s.tried) >= fetchFailed
	}
	age := now.Sub(s.tried)
	return age >= fetchEvery || s.index(kid) < 0 && age >= fetchAgain
}

// refresh fetches the keys.
func (s *keySet) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	began := s.now()
	text, err := s.fetch(ctx)
	var keys []publicKey
	if err == nil {
		keys, err = parseKeySet(text)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.err = began, err
	if err == nil {
		s.keys, s.fetched = keys, began
	}
}

// fetchNow fetches the keys, whenever they were fetched last, and returns how many there are.
func (s *keySet) fetchNow(ctx context.Context) (int, error) {
	s.refresh(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys), s.err
}

// parseKeySet returns the keys of a JSON Web Key Set that can verify tokens. The others, which
// may be for other purposes or of types that came later, are left out.
func parseKeySet(text []byte) ([]publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("decode the key set: %w", err)
	}
	if len(set.Keys) > maxPublicKeys {
		return nil, fmt.Errorf("a key set of %d keys, at most %d are allowed", len(set.Keys), maxPublicKeys)
	}
	var keys []publicKey
	for _, text := range set.Keys {
		if k, ok := parseKey(text); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("none of the %d keys of the key set has an ID and is of a type that can be used: RSA of %d to %d bits, P-256 or Ed25519", len(set.Keys), minRSA, maxRSA)
	}
	return keys, nil
}

func parseKey(text []byte) (publicKey, bool) {
	var k jose.JSONWebKey
	if err := json.Unmarshal(text, &k); err != nil || !k.IsPublic() || k.KeyID == "" || k.Use != "" && k.Use != "sig" {
		return publicKey{}, false
	}
	alg, ok := algorithm(k.Key)
	return publicKey{k.KeyID, alg, k.Key}, ok && (k.Algorithm == "" || k.Algorithm == alg)
}

// algorithm returns the only algorithm that a key is used for.
func algorithm(key any) (string, bool) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		bits := key.N.BitLen()
		return "RS256", bits >= minRSA && bits <= maxRSA
	case *ecdsa.PublicKey:
		return "ES256", key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return "EdDSA", true
	}
	return "", false
}
