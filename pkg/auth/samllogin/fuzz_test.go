package samllogin_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin/samltest"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// FuzzAccept posts documents of any form.
func FuzzAccept(f *testing.F) {
	fixture := newFixture(f)
	l, _ := fixture.begin(f)
	for i, forgery := range samltest.Forgeries() {
		if document := forgery.Make(fixture.provider, l); i%4 == 0 && len(document) < 8<<10 { // few and short ones: each is tried first
			f.Add([]byte(document))
		}
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		if err := fixture.Accept(t.Context(), samltest.Encode(string(document))); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%q: %v", document, err)
		}
	})
}

// FuzzChangedResponse replaces a part of a signed response. Whatever is changed, the provider
// vouches for nobody else.
func FuzzChangedResponse(f *testing.F) {
	fixture := newFixture(f)
	l, cookie := fixture.begin(f)
	response := []byte(fixture.provider.Respond(l))
	for i := range 15 {
		f.Add(i*200, 10, []byte("<saml:NameID>mallory</saml:NameID>"))
		f.Add(i*200, 1, []byte("&amp;"))
	}
	f.Fuzz(func(t *testing.T, at, removed int, inserted []byte) {
		if at < 0 || removed < 0 || at > len(response) || removed > len(response)-at {
			t.Skip()
		}
		fixture.config.Used = once.New(&kvtest.Memory{}, fixture.config.Now) // where nothing was answered yet
		logins := fixture.coordinator(t)
		document := slices.Replace(slices.Clone(response), at, at+removed, inserted...)
		if err := logins.Accept(t.Context(), samltest.Encode(string(document))); err != nil {
			wantRefused(t, "changed response", err)
			return
		}
		user, _, err := logins.Finish(t.Context(), cookie, true)
		expect.NoError(t, err)
		if user.Issuer != idp || user.Subject != l.NameID || !slices.Equal(user.Claims["groups"], l.Values["groups"]) || len(user.Claims) != 1 {
			t.Errorf("%+v by %q", user, document)
		}
	})
}
