package auth_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func TestSchemesHaveTheNamesOfTheAPI(t *testing.T) {
	for want, h := range map[string]http.Header{
		"":            header("Authorization", "Negotiate x"),
		"malformed":   header("Authorization", "Basic x"),
		"jwt_token":   header("Authorization", "Bearer x", "Cookie", "internal_auth_session=x"),
		"basic_auth":  header("Authorization", basic("id", "secret")),
		"cookie_auth": header("Cookie", "saml_auth_session=x; internal_auth_session=x"),
		"oidc_auth":   header("Cookie", "oidc_auth_session=x"),
		"saml_auth":   header("Cookie", "saml_auth_session=x"),
	} {
		p, err := auth.Read(h)
		if err != nil || p.Scheme() != want || p.IsZero() != (want == "") {
			t.Errorf("%v: %q, %v, want %q", h, p.Scheme(), err, want)
		}
	}
}

// A logout ends all sessions that a request shows, not just the one that decides.
func TestSessionsOfARequest(t *testing.T) {
	for _, x := range []struct {
		h    http.Header
		want []string
	}{
		{header("Authorization", basic("id", "secret")), nil},
		{header("Authorization", "Bearer"), nil},
		{
			header("Authorization", "Bearer x", "Cookie", "saml_auth_session=x; other=x; internal_auth_session=x; internal_auth_session=y"),
			[]string{"jwt_token", "cookie_auth", "cookie_auth", "saml_auth"},
		},
	} {
		var got []string
		for _, p := range auth.Sessions(x.h) {
			got = append(got, p.Scheme())
		}
		if !slices.Equal(got, x.want) {
			t.Errorf("%v: %q, want %q", x.h, got, x.want)
		}
	}
}

// Only the secret of a key that exists is known to be wrong, and clients are not told.
func TestWrongSecretsAreTold(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	a := f.ann(t)
	c := f.nodes[0]
	for id, known := range map[string]bool{a.id: true, "unknown": false} {
		p, err := auth.Read(header("Authorization", basic(id, "wrong")))
		expect.NoError(t, err)
		_, err = c.Authenticate(t.Context(), p)
		if !errors.Is(err, auth.ErrUnauthenticated) || err.Error() != auth.ErrUnauthenticated.Error() || (auth.KnownKey(err) == id) != known {
			t.Errorf("%s: %v", id, err)
		}
	}
}
