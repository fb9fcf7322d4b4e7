package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Sealer encrypts text that clients carry, such as continuation tokens. It is immutable.
type Sealer struct{ aead cipher.AEAD }

// sealKeySize is the length of a key in bytes: AES-256.
const sealKeySize = 32

// errToken says that a token was not sealed with the sealer's key, or was sealed for another
// purpose.
var errToken = errors.New("not a token for this")

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

// Seal returns a token, safe in URLs and JSON, that Open opens only for the same purpose.
func (s *Sealer) Seal(text string, purpose ...string) string {
	sealed := s.aead.Seal(nil, nil, []byte(text), fmt.Appendf(nil, "%q", purpose)) //nolint:gosec // the nonce is random, made by aead
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// Open returns the text of a token, or errToken.
func (s *Sealer) Open(token string, purpose ...string) (string, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || strings.ContainsAny(token, "\r\n") { // which the decoder ignores: one text has one token
		return "", errToken
	}
	text, err := s.aead.Open(nil, nil, sealed, fmt.Appendf(nil, "%q", purpose))
	if err != nil {
		return "", errToken
	}
	return string(text), nil
}

// sealKey is the key, in its bucket, of the sealer's encryption key.
const sealKey = "seal"

// OpenSealer returns the sealer whose encryption key is stored in the bucket, so that all
// coordinators open each other's tokens. If there is no key, it generates one.
func OpenSealer(ctx context.Context, bucket kv.Bucket) (s *Sealer, err error) {
	err = kv.RetryConflicts(ctx, func() error { // in conflict with a coordinator that has just created one
		s, err = openSealer(ctx, bucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the key of tokens: %w", err)
	}
	return s, nil
}

func openSealer(ctx context.Context, bucket kv.Bucket) (*Sealer, error) {
	key, _, err := bucket.Get(ctx, sealKey)
	if errors.Is(err, kv.ErrNotFound) {
		key = make([]byte, sealKeySize)
		_, _ = rand.Read(key) // it never fails
		_, err = bucket.Create(ctx, sealKey, key)
	}
	if err != nil {
		return nil, err
	}
	return newSealer(key)
}
