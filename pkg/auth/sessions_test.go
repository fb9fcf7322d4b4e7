package auth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func TestSessionsExpire(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	a := f.ann(t)
	b, err := f.nodes[0].BeginExternal(t.Context(), auth.External{Provider: access.OIDC, Issuer: idp, Subject: "ann", Expires: f.Now().Add(time.Hour)})
	expect.NoError(t, err)
	oidc, own := header("Cookie", cookie(b.Cookie(true))), header("Cookie", cookie(a.begun.Cookie(true)))
	if !b.Expires.Equal(f.Now().Add(time.Hour)) || !a.begun.Expires.Equal(f.Now().Add(session.MaxLife)) || b.Token != "" {
		t.Errorf("begun %+v, %+v", a.begun, b)
	}
	f.Add(time.Hour - 1)
	f.nodes[1].accepts(t, "as long as the provider says", oidc, annOfIDP)
	f.Add(1)
	f.nodes[1].accepts(t, "longer", oidc, "")
	f.nodes[1].accepts(t, "own", own, "ann")
	f.Add(session.MaxLife - time.Hour)
	f.nodes[1].accepts(t, "too old", own, "")
	f.nodes[1].accepts(t, "too old", header(authorization, "Bearer "+a.begun.Token), "") // though the token has a leeway
	before, _, err := f.bucket.Get(t.Context(), "u.616e6e")
	expect.NoError(t, err)
	expect.NoError(t, f.nodes[0].Sweep(t.Context()))
	after, _, err := f.bucket.Get(t.Context(), "u.616e6e")
	if err != nil || len(after) >= len(before) {
		t.Errorf("the sweep left %s, %v", after, err)
	}
}

func TestASessionBeginsNoOther(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	a, n := f.ann(t), f.nodes[0]
	for what, h := range map[string]http.Header{
		"token":   header(authorization, "Bearer "+a.begun.Token),
		"cookie":  header("Cookie", cookie(a.begun.Cookie(true))),
		"outside": header(authorization, "Bearer "+f.outsideToken(t, nil)),
	} {
		caller, err := n.ask(t, h)
		expect.NoError(t, err)
		if _, err := n.Begin(t.Context(), caller); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", what, err)
		}
	}
	caller, err := n.ask(t, header(authorization, basic(a.id, a.secret)))
	expect.NoError(t, err)
	expect.NoError(t, n.End(t.Context(), caller))
	n.accepts(t, "the session of another", header(authorization, "Bearer "+a.begun.Token), "ann")
}

// A session is one of its own kind only, whatever signed or sealed its name.
func TestSessionsAreOfOneKind(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	a, n := f.ann(t), f.nodes[0]
	own := n.accepts(t, "own", header(authorization, "Bearer "+a.begun.Token), "ann")
	oidc := n.accepts(t, "oidc", header("Cookie", cookie(f.external(t, access.OIDC).Cookie(true))), annOfIDP)
	in := f.Now().Add(time.Hour)
	text, err := n.tokens.Issue(t.Context(), token.Claims{User: oidc.User, Session: oidc.Credential.ID, Expires: in})
	expect.NoError(t, err)
	n.accepts(t, "a token of a provider's session", header(authorization, "Bearer "+text), "")
	for _, c := range []*http.Cookie{
		session.Cookie(n.sealer, session.OIDC, own.User, own.Credential.ID, f.Now(), in, true),
		session.Cookie(n.sealer, session.Internal, oidc.User, oidc.Credential.ID, f.Now(), in, true),
		session.Cookie(n.sealer, session.Internal, oidc.User, own.Credential.ID, f.Now(), in, true),
		session.Cookie(n.sealer, session.Internal, own.User, "", f.Now(), in, true),
	} {
		n.accepts(t, c.Name, header("Cookie", cookie(c)), "")
	}
}
