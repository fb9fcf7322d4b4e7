package auth_test

import (
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func TestPair(t *testing.T) {
	p := auth.NewPair("id", "secret")
	for _, tc := range []struct {
		id, secret string
		user       string
		ok         bool
	}{
		{"id", "secret", "id", true},
		{"id", "Secret", "id", false},
		{"ID", "secret", "", false},
		{"id", "", "id", false},
		{"", "", "", false},
		{"secret", "id", "", false},
	} {
		user, ok, err := p.Authenticate(t.Context(), tc.id, tc.secret)
		if ok != tc.ok || err != nil || user != tc.user {
			t.Errorf("Authenticate(%q, %q) = %q, %t, %v", tc.id, tc.secret, user, ok, err)
		}
	}
}

func TestOpenReturnsTheSecretOnce(t *testing.T) {
	bucket := new(kvtest.Memory)
	made, secret, err := auth.Open(t.Context(), bucket)
	if err != nil || len(secret) < 30 {
		t.Fatalf("first Open: secret of %d characters, %v", len(secret), err)
	}
	if _, ok, _ := made.Authenticate(t.Context(), made.AccessKeyID, secret); !ok {
		t.Error("the pair does not accept its own keys")
	}
	again, none, err := auth.Open(t.Context(), bucket)
	if err != nil || none != "" || again != made {
		t.Errorf("second Open = %+v, %q, %v, want the same pair and no secret", again, none, err)
	}
	value, _, err := bucket.Get(t.Context(), "pair")
	if err != nil || strings.Contains(string(value), secret) {
		t.Errorf("the bucket holds %s, %v", value, err)
	}
}

func TestAPairThatCannotBeDecodedSaysWhatToDo(t *testing.T) {
	bucket := new(kvtest.Memory)
	if _, err := bucket.Create(t.Context(), "pair", []byte("{")); err != nil {
		t.Fatal(err)
	}
	_, _, err := auth.Open(t.Context(), bucket)
	for _, part := range []string{"the record pair of the bucket auth", "auth.access_key_id", "delete the record"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v, want it to say %q", err, part)
		}
	}
}
