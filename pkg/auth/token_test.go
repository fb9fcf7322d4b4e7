package auth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// newSealer returns a sealer with a key of its own.
func newSealer(t *testing.T) *auth.Sealer {
	t.Helper()
	return openSealer(t, new(kvtest.Memory))
}

func openSealer(t *testing.T, bucket kv.Bucket) *auth.Sealer {
	t.Helper()
	s, err := auth.OpenSealer(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokensOpenOnlyForTheirPurpose(t *testing.T) {
	s := newSealer(t)
	token := s.Seal("dir/é", "user", "repo", "s3://b/", "x/")
	if text, err := s.Open(token, "user", "repo", "s3://b/", "x/"); text != "dir/é" || err != nil {
		t.Errorf("Open = %q, %v", text, err)
	}
	if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("token %s", token)
	}
	if token == s.Seal("dir/é", "user", "repo", "s3://b/", "x/") {
		t.Error("two tokens for one text are the same")
	}
	for _, purpose := range [][]string{
		nil,
		{"user"},
		{"other", "repo", "s3://b/", "x/"},
		{"user", "other", "s3://b/", "x/"},
		{"user", "repo", "s3://b/y", "x/"},
		{"user", "repo", "s3://b/", ""},
		{"userrepo", "", "s3://b/", "x/"},
		{"user", "repo", "s3://b/x/"},
		{"user\" \"repo", "s3://b/", "x/"},
	} {
		if text, err := s.Open(token, purpose...); text != "" || !errors.Is(err, auth.ErrToken) {
			t.Errorf("Open for %q = %q, %v", purpose, text, err)
		}
	}
	if _, err := newSealer(t).Open(token, "user", "repo", "s3://b/", "x/"); !errors.Is(err, auth.ErrToken) {
		t.Errorf("another key opens it: %v", err)
	}
}

func TestChangedTokensDoNotOpen(t *testing.T) {
	rnd := seeded.Rand(t)
	s := newSealer(t)
	token := s.Seal("dir/file", "user")
	for _, text := range []string{"", "dir/file", "!", token + "A", token[1:], token[:len(token)-1], token + "=", strings.Repeat("A", 1<<20)} {
		if _, err := s.Open(text, "user"); !errors.Is(err, auth.ErrToken) {
			t.Errorf("%.20q opens: %v", text, err)
		}
	}
	for range 1000 {
		changed := []byte(token)
		changed[rnd.IntN(len(changed)-1)] ^= byte(1 + rnd.IntN(127)) // of the last one some bits mean nothing
		if _, err := s.Open(string(changed), "user"); !errors.Is(err, auth.ErrToken) {
			t.Errorf("%s opens, changed from %s: %v", changed, token, err)
		}
	}
}

func TestCoordinatorsOpenEachOthersTokens(t *testing.T) {
	bucket := new(kvtest.Memory)
	first, second := openSealer(t, bucket), openSealer(t, bucket)
	if text, err := second.Open(first.Seal("k", "p"), "p"); text != "k" || err != nil {
		t.Errorf("Open = %q, %v", text, err)
	}
	broken := new(kvtest.Memory)
	if _, err := broken.Create(t.Context(), "seal", []byte("short")); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.OpenSealer(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "a key of 5 bytes, want 32") {
		t.Errorf("an invalid key: %v", err)
	}
}
