package begun_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/begun"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func newCookie(t *testing.T) begun.Cookie {
	t.Helper()
	sealer, err := auth.OpenSealer(t.Context(), &kvtest.Memory{})
	expect.NoError(t, err)
	return begun.Cookie{Sealer: sealer, Name: "login", Purpose: []string{"a login"}, Life: time.Minute}
}

func header(cookies ...*http.Cookie) http.Header {
	r := http.Request{Header: http.Header{}}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r.Header
}

func TestACookieHoldsAText(t *testing.T) {
	c := newCookie(t)
	for _, secure := range []bool{false, true} {
		made := c.Holding("text", secure)
		if made.Secure != secure || strings.HasPrefix(made.Name, "__Host-") != secure || made.Path != "/" || made.MaxAge != 60 ||
			!made.HttpOnly || made.SameSite != http.SameSiteLaxMode || made.Domain != "" {
			t.Errorf("secure %t: %+v", secure, made)
		}
		if text, ok := c.Open(header(made), secure); !ok || text != "text" {
			t.Errorf("secure %t: %q, %t", secure, text, ok)
		}
		if _, ok := c.Open(header(made), !secure); ok {
			t.Errorf("secure %t: the cookie of the other connection is accepted", secure)
		}
	}
}

func TestOtherCookiesHoldNothing(t *testing.T) {
	c := newCookie(t)
	other := c
	other.Purpose = []string{"another login"}
	made := c.Holding("text", false)
	damaged := *made
	damaged.Value = "A" + made.Value
	for what, h := range map[string]http.Header{
		"none": {}, "two": header(made, made), "of another purpose": header(other.Holding("text", false)), "damaged": header(&damaged),
		"too long": header(c.Holding(strings.Repeat("x", 4<<10), false)),
	} {
		if text, ok := c.Open(h, false); ok {
			t.Errorf("%s: %q", what, text)
		}
	}
}
