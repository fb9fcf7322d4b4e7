package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// Sealer seals text that clients bring back. It is immutable.
type Sealer struct{ aead cipher.AEAD }

// sealKeySize is the length of a key in bytes: AES-256.
const sealKeySize = 32

// ErrToken says that a token was not sealed with the sealer's key, or for something
// else.
var ErrToken = errors.New("not a token for this")

// NewSealer returns a sealer with a key of its own, whose tokens nobody else opens.
func NewSealer() *Sealer {
	key := make([]byte, sealKeySize)
	_, _ = rand.Read(key) // it never fails
	s, err := newSealer(key)
	if err != nil {
		panic(err) // the key has the right length
	}
	return s
}

func newSealer(key []byte) (*Sealer, error) {
	if len(key) != sealKeySize {
		return nil, fmt.Errorf("a key of %d bytes, want %d", len(key), sealKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Sealer{aead}, err
}

// Seal returns a token for URLs and JSON that Open opens only with the same purpose,
// element by element.
func (s *Sealer) Seal(text string, purpose ...string) string {
	sealed := s.aead.Seal(nil, nil, []byte(text), fmt.Appendf(nil, "%q", purpose)) //nolint:gosec // the nonce is random, made by aead
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// Open returns what was sealed, or ErrToken.
func (s *Sealer) Open(token string, purpose ...string) (string, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", ErrToken
	}
	text, err := s.aead.Open(nil, nil, sealed, fmt.Appendf(nil, "%q", purpose))
	if err != nil {
		return "", ErrToken
	}
	return string(text), nil
}

// sealKey is where the key of the sealer is stored in its bucket.
const sealKey = "seal"

// OpenSealer returns the sealer whose key is stored in the bucket, so that all
// coordinators open each other's tokens. If there is no key it makes one.
func OpenSealer(ctx context.Context, kv queue.KV) (s *Sealer, err error) {
	err = queue.Contend(ctx, func() error { // in conflict another coordinator made one just now
		s, err = openSealer(ctx, kv)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the key of tokens: %w", err)
	}
	return s, nil
}

func openSealer(ctx context.Context, kv queue.KV) (*Sealer, error) {
	key, _, err := kv.Get(ctx, sealKey)
	if errors.Is(err, queue.ErrNotFound) {
		key = make([]byte, sealKeySize)
		_, _ = rand.Read(key) // it never fails
		_, err = kv.Create(ctx, sealKey, key)
	}
	if err != nil {
		return nil, err
	}
	return newSealer(key)
}
