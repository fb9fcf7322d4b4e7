package samllogin_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin/samltest"
)

// FuzzAccept posts documents of any form.
func FuzzAccept(f *testing.F) {
	fixture := newFixture(f)
	l, _ := fixture.begin(f)
	for _, forgery := range samltest.Forgeries() {
		f.Add([]byte(forgery.Make(fixture.provider, l)))
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
	for i := range 60 {
		f.Add(i*50, 10, []byte("<saml:NameID>mallory</saml:NameID>"))
		f.Add(i*50, 0, []byte("<!-- -->"))
		f.Add(i*50, 1, []byte("&amp;"))
	}
	f.Fuzz(func(t *testing.T, at, removed int, inserted []byte) {
		l, cookie := fixture.begin(t)
		document := []byte(fixture.provider.Respond(l))
		if at < 0 || removed < 0 || at > len(document) || removed > len(document)-at {
			t.Skip()
		}
		document = slices.Replace(document, at, at+removed, inserted...)
		if err := fixture.Accept(t.Context(), samltest.Encode(string(document))); err != nil {
			wantRefused(t, "changed response", err)
			return
		}
		user, _, err := fixture.Finish(t.Context(), cookie, true)
		expect.NoError(t, err)
		if user.Issuer != idp || user.Subject != l.NameID || !slices.Equal(user.Claims["groups"], l.Values["groups"]) || len(user.Claims) != 1 {
			t.Errorf("%+v by %q", user, document)
		}
	})
}
