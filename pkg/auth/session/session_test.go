package session_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// User and ID of each session. They are longer than what a random value could
// show by chance, so that a test can look for them in it.
const (
	user = "ann-who-is-nowhere-to-be-read"
	id   = "ID-that-is-nowhere-to-be-read"
)

func newSealer(t testing.TB) *auth.Sealer {
	t.Helper()
	s, err := auth.OpenSealer(t.Context(), &kvtest.Memory{})
	expect.NoError(t, err)
	return s
}

func valueOf(s session.Sealer, kind session.Kind) string {
	return session.Cookie(s, kind, user, id, now, now.Add(time.Hour), true).Value
}

func opens(t *testing.T, what string, s session.Sealer, kind session.Kind, value string, want bool) {
	t.Helper()
	gotUser, gotID, ok := session.Open(s, kind, value)
	if ok != want || ok && (gotUser != user || gotID != id) {
		t.Errorf("%s: Open = %q, %q, %t, want %t", what, gotUser, gotID, ok, want)
	}
}

func TestCookiesAreForBrowsersOnly(t *testing.T) {
	s := newSealer(t)
	for _, secure := range []bool{false, true} {
		c := session.Cookie(s, session.OIDC, user, id, now, now.Add(time.Hour), secure)
		if c.Valid() != nil || strings.Contains(c.Value, user) || strings.Contains(c.Value, id) {
			t.Errorf("value %s", c.Value)
		}
		for value, c := range map[string]*http.Cookie{
			"oidc_auth_session=V; Path=/; Max-Age=3600; HttpOnly": c,
			"saml_auth_session=V; Path=/; Max-Age=0; HttpOnly":    session.Expired(session.SAML, secure),
		} {
			if secure {
				value += "; Secure"
			}
			c.Value = "V"
			if got := c.String(); got != value+"; SameSite=Lax" {
				t.Errorf("%s", got)
			}
		}
	}
	if c := session.Cookie(s, session.OIDC, user, id, now, now, false); c.MaxAge <= 0 {
		t.Errorf("a session that is over: %+v", c)
	}
}

func TestCookiesOpenOnlyUnderTheirName(t *testing.T) {
	s := newSealer(t)
	for _, kind := range []session.Kind{session.Internal, session.OIDC, session.SAML} {
		for _, other := range []session.Kind{session.Internal, session.OIDC, session.SAML} {
			opens(t, string(kind)+" as "+string(other), s, other, valueOf(s, kind), kind == other)
		}
		opens(t, "another fleet", newSealer(t), kind, valueOf(s, kind), false)
		opens(t, "another purpose", s, kind, s.Seal(id+" "+user), false)
		opens(t, "no session", s, kind, s.Seal(id, "session cookie", string(kind)), false)
	}
}

func TestDamagedCookiesDoNotOpen(t *testing.T) {
	rnd, s := seeded.Rand(t), newSealer(t)
	value := valueOf(s, session.Internal)
	for _, text := range []string{"", id + " " + user, value + "A", value + "\n", value[1:], value + "=", strings.Repeat("A", 64<<10), "eyJhbGciOiJub25lIn0.e30."} {
		opens(t, "damaged", s, session.Internal, text, false)
	}
	raw, err := base64.RawURLEncoding.DecodeString(value)
	expect.NoError(t, err)
	for range 1000 {
		bit := rnd.IntN(8 * len(raw))
		raw[bit/8] ^= 1 << (bit % 8)
		opens(t, "one bit changed", s, session.Internal, base64.RawURLEncoding.EncodeToString(raw), false)
		raw[bit/8] ^= 1 << (bit % 8)
	}
	opens(t, "unchanged", s, session.Internal, base64.RawURLEncoding.EncodeToString(raw), true)
}

// FuzzOpen looks for a value that opens and was not made, and for panics.
func FuzzOpen(f *testing.F) {
	s := newSealer(f)
	value := valueOf(s, session.Internal)
	for _, text := range []string{value, value[:len(value)-1], "", "AAAA", strings.Repeat("A", 100)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		gotUser, gotID, ok := session.Open(s, session.Internal, text)
		if same := text[:max(0, len(text)-1)] == value[:len(value)-1]; ok && (!same || gotUser != user || gotID != id) { // of the last character some bits may mean nothing
			t.Errorf("Open(%q) = %q, %q", text, gotUser, gotID)
		}
	})
}
