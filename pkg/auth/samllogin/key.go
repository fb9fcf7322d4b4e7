package samllogin

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Key signs requests. It is immutable.
type Key struct {
	signer      *rsa.PrivateKey
	certificate *x509.Certificate
}

// Of keys that are generated.
const (
	keyBits = 3072
	keyLife = 20 * 365 * 24 * time.Hour // providers are told of a new one by hand
)

// keyName is the key of the bucket.
const keyName = "samlkey"

// storedKey is a key as it is stored.
type storedKey struct {
	Key         []byte `json:"pkcs8"`
	Certificate []byte `json:"certificate"`
}

// OpenKey returns the key that is stored in the bucket, so that all coordinators have the same. If
// there is none, it generates one.
func OpenKey(ctx context.Context, bucket kv.Bucket, now func() time.Time) (k Key, err error) {
	err = kv.RetryConflicts(ctx, func() error { // in conflict with a coordinator that has just created one
		k, err = openKey(ctx, bucket, now)
		return err
	})
	if err != nil {
		return Key{}, fmt.Errorf("open the key of SAML requests: %w", err)
	}
	return k, nil
}

func openKey(ctx context.Context, bucket kv.Bucket, now func() time.Time) (Key, error) {
	value, _, err := bucket.Get(ctx, keyName)
	if errors.Is(err, kv.ErrNotFound) {
		if value, err = generate(now()); err != nil {
			return Key{}, err
		}
		_, err = bucket.Create(ctx, keyName, value)
	}
	if err != nil {
		return Key{}, err
	}
	k, err := decodeKey(value)
	if err != nil {
		return Key{}, fault.Unreadable(kv.BucketAuth, keyName, err)
	}
	return k, nil
}

// generate returns a new key, as it is stored.
func generate(now time.Time) ([]byte, error) {
	signer, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "rangefleet"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(keyLife), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, err
	}
	return json.Marshal(storedKey{key, certificate})
}

func decodeKey(value []byte) (Key, error) {
	var stored storedKey
	if err := json.Unmarshal(value, &stored); err != nil {
		return Key{}, err
	}
	key, err := x509.ParsePKCS8PrivateKey(stored.Key)
	if err != nil {
		return Key{}, err
	}
	certificate, err := x509.ParseCertificate(stored.Certificate)
	if err != nil {
		return Key{}, err
	}
	signer, ok := key.(*rsa.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("a key of type %T", key)
	}
	return Key{signer, certificate}, nil
}
