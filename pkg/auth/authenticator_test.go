package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/recent"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

const annOfIDP = "oidc:https:=2F=2Fidp.example.com=2F=7Cann"

func TestEachSchemeProvesItsUserEverywhere(t *testing.T) {
	onEach(t, func(t *testing.T, f *fleet) {
		a := f.ann(t)
		oidc, saml := f.external(t, access.OIDC), f.external(t, access.SAML)
		for name, tc := range map[string]struct {
			header http.Header
			user   string
			kind   access.CredentialKind
			groups []string
		}{
			"access key":             {header(authorization, basic(a.id, a.secret)), "ann", access.AccessKey, nil},
			"basic in small letters": {header(authorization, "b"+basic(a.id, a.secret)[1:]), "ann", access.AccessKey, nil},
			"token":                  {header(authorization, "Bearer "+a.begun.Token), "ann", access.Token, nil},
			"bearer":                 {header(authorization, "bearer  "+a.begun.Token+" "), "ann", access.Token, nil},
			"cookie":                 {header("Cookie", cookie(a.begun.Cookie(true))), "ann", access.Session, nil},
			"other cookies":          {header("Cookie", "x=y; "+cookie(a.begun.Cookie(true))+"; z", "Cookie", "a=b"), "ann", access.Session, nil},
			"OpenID Connect":         {header("Cookie", cookie(oidc.Cookie(true))), annOfIDP, access.Session, []string{"Readers"}},
			"SAML":                   {header("Cookie", cookie(saml.Cookie(true))), "saml" + annOfIDP[4:], access.Session, []string{"Readers"}},
			"token of the provider":  {header(authorization, "Bearer "+f.outsideToken(t, jwt.MapClaims{"groups": []string{"reading", "Admins"}})), annOfIDP, access.Token, []string{"Readers"}},
			"a scheme of others":     {header(authorization, "Negotiate abc", "Cookie", cookie(a.begun.Cookie(true))), "ann", access.Session, nil},
		} {
			for _, n := range f.nodes {
				got := n.accepts(t, name, tc.header, tc.user)
				if got.Credential.Kind != tc.kind || !slices.Equal(got.Groups, tc.groups) {
					t.Errorf("%s: %+v", name, got)
				}
				if ok, err := n.Stands(t.Context(), got); !ok || err != nil {
					t.Errorf("%s: Stands = %t, %v", name, ok, err)
				}
				for _, secret := range []string{a.secret, a.begun.Token} {
					if strings.Contains(got.Credential.ID, secret) {
						t.Errorf("%s: the credential has a secret", name)
					}
				}
			}
		}
	})
}

func TestTheFirstSchemeDecides(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	a, n := f.ann(t), f.nodes[1]
	oidc, saml := cookie(f.external(t, access.OIDC).Cookie(true)), cookie(f.external(t, access.SAML).Cookie(true))
	good := cookie(a.begun.Cookie(true))
	const bad = "=AAAA"
	for name, tc := range map[string]struct {
		header http.Header
		user   string
	}{
		"nothing":                          {header(), ""},
		"bad token, good cookie":           {header(authorization, "Bearer x.y.z", "Cookie", good), ""},
		"no token, good cookie":            {header(authorization, "Bearer", "Cookie", good), ""},
		"two tokens, good cookie":          {header(authorization, "Bearer "+a.begun.Token+" "+a.begun.Token, "Cookie", good), ""},
		"wrong secret, good cookie":        {header(authorization, basic(a.id, "x"), "Cookie", good), ""},
		"no base64, good cookie":           {header(authorization, "Basic !!!", "Cookie", good), ""},
		"no colon, good cookie":            {header(authorization, "Basic YQ==", "Cookie", good), ""},
		"neither key nor secret":           {header(authorization, basic("", ""), "Cookie", good), ""},
		"an empty header, good cookie":     {header(authorization, "", "Cookie", good), "ann"},
		"token before cookie":              {header(authorization, "Bearer "+a.begun.Token, "Cookie", oidc), "ann"},
		"bad cookie, good cookie of OIDC":  {header("Cookie", string(session.Internal)+bad+"; "+oidc), ""},
		"bad cookie of OIDC, good of SAML": {header("Cookie", string(session.OIDC)+bad+"; "+saml), ""},
		"good cookie, bad cookie of OIDC":  {header("Cookie", string(session.OIDC)+bad+"; "+good), "ann"},
		"OIDC before SAML":                 {header("Cookie", saml+"; "+oidc), annOfIDP},
		"a cookie twice":                   {header("Cookie", good+"; "+good), ""},
		"a cookie in two headers":          {header("Cookie", string(session.Internal)+bad, "Cookie", good), ""},
		"cookie of OIDC renamed to SAML":   {header("Cookie", strings.Replace(oidc, "oidc", "saml", 1)), ""},
		"cookie of OIDC renamed":           {header("Cookie", strings.Replace(oidc, "oidc", "internal", 1)), ""},
		"a token as a cookie":              {header("Cookie", string(session.Internal)+"="+a.begun.Token), ""},
		"a cookie as a token":              {header(authorization, "Bearer "+a.begun.Cookie(true).Value), ""},
	} {
		t.Run(name, func(t *testing.T) { n.accepts(t, name, tc.header, tc.user) })
	}
	for _, second := range []string{"", basic(a.id, a.secret), "Bearer x"} {
		if _, err := n.ask(t, header(authorization, basic(a.id, a.secret), authorization, second)); !fault.Is(err, fault.Invalid) {
			t.Errorf("two headers: %v", err)
		}
	}
}

func TestHugeHeadersAreRefusedAtOnce(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	n := f.nodes[0]
	huge := strings.Repeat("A", 1<<20)
	for name, h := range map[string]http.Header{
		"dots":       header(authorization, "Bearer "+strings.Repeat(".", 1e6)),
		"token":      header(authorization, "Bearer "+huge+"."+huge+"."+huge),
		"key":        header(authorization, "Basic "+huge),
		"kind":       header(authorization, huge, "Cookie", string(session.OIDC)+"="+huge),
		"cookie":     header("Cookie", string(session.SAML)+"="+huge),
		"a bit more": header("Cookie", string(session.Internal)+"="+huge[:64<<10]),
	} {
		if used := testing.AllocsPerRun(10, func() { n.accepts(t, name, h, "") }); used > 200 {
			t.Errorf("%s: %f allocations", name, used)
		}
	}
}

// Users, keys and sessions that end are refused at once by the coordinator that ended them, and
// by the other one within the bound. So is what was begun with them.
func TestRevocationsTakeEffectEverywhere(t *testing.T) {
	for name, tc := range map[string]struct {
		revoke      func(ctx context.Context, n coordinator, a ann, session string) error
		key, tokens bool // whether they are valid then
		standing    bool // whether imports go on that a session began
	}{
		"user": {func(ctx context.Context, n coordinator, _ ann, _ string) error { return n.users.Delete(ctx, "ann") }, false, false, false},
		"key": {func(ctx context.Context, n coordinator, a ann, _ string) error {
			return n.users.Keys().Delete(ctx, "ann", a.id)
		}, false, false, false},
		"session": {func(ctx context.Context, n coordinator, _ ann, s string) error {
			return n.users.Sessions().Revoke(ctx, "ann", s)
		}, true, false, false},
		"sessions": {func(ctx context.Context, n coordinator, _ ann, _ string) error {
			return n.users.Sessions().RevokeAll(ctx, "ann")
		}, true, false, false},
		"logout": {func(ctx context.Context, n coordinator, _ ann, s string) error {
			return n.End(ctx, access.Caller{User: "ann", Credential: access.Credential{Kind: access.Session, ID: s}})
		}, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, f *fleet) {
				a := f.ann(t)
				shown := map[string]http.Header{
					"key":    header(authorization, basic(a.id, a.secret)),
					"token":  header(authorization, "Bearer "+a.begun.Token),
					"cookie": header("Cookie", cookie(a.begun.Cookie(true))),
				}
				var callers []access.Caller
				for what, h := range shown {
					callers = append(callers, f.nodes[0].accepts(t, what, h, "ann"), f.nodes[1].accepts(t, what, h, "ann"))
				}
				session := f.nodes[0].accepts(t, "cookie", shown["cookie"], "ann").Credential.ID
				expect.NoError(t, tc.revoke(t.Context(), f.nodes[0], a, session))
				check := func(n coordinator) {
					t.Helper()
					for what, h := range shown {
						user := ""
						if what == "key" && tc.key || what != "key" && tc.tokens {
							user = "ann"
						}
						n.accepts(t, what, h, user)
					}
					for _, c := range callers {
						want := tc.standing
						if c.Credential.Kind == access.AccessKey {
							want = tc.key
						}
						if ok, err := n.Stands(t.Context(), c); ok != want || err != nil {
							t.Errorf("Stands(%+v) = %t, %v, want %t", c, ok, err, want)
						}
					}
				}
				check(f.nodes[0])
				f.Add(recent.MaxAge)
				check(f.nodes[1])
			})
		})
	}
}

// New keys of tokens end all tokens, also those that somebody signs who knows the old ones. Sessions
// go on by their cookies, and so does what was begun with a token.
func TestNewKeysEndTokensEverywhere(t *testing.T) {
	onEach(t, func(t *testing.T, f *fleet) {
		a := f.ann(t)
		token, cookies := header(authorization, "Bearer "+a.begun.Token), header("Cookie", cookie(a.begun.Cookie(true)))
		var caller access.Caller
		for _, n := range f.nodes {
			caller = n.accepts(t, "the token before", token, "ann")
		}
		expect.NoError(t, f.nodes[0].ReplaceKeys(t.Context()))
		f.nodes[0].accepts(t, "the token at once", token, "")
		f.Add(recent.MaxAge)
		byKey, err := f.nodes[1].ask(t, header(authorization, basic(a.id, a.secret)))
		expect.NoError(t, err)
		again, err := f.nodes[1].Begin(t.Context(), byKey)
		expect.NoError(t, err)
		for _, n := range f.nodes {
			n.accepts(t, "the token after MaxAge", token, "")
			n.accepts(t, "the cookie", cookies, "ann")
			n.accepts(t, "a new token", header(authorization, "Bearer "+again.Token), "ann")
			if ok, err := n.Stands(t.Context(), caller); !ok || err != nil {
				t.Errorf("what the token began stands: %t, %v", ok, err)
			}
		}
	})
}

// What an identity provider says of a user makes nobody a local user, or one whose name means
// something in a policy.
func TestSubjectsOfProvidersAreNames(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	n := f.nodes[0]
	for _, sub := range []string{"", "*", "${user}", "a/b", "admin ", "x\ny", strings.Repeat("a", 300), "ä"} {
		e := auth.External{Provider: access.OIDC, Issuer: idp, Subject: sub, Expires: f.Now().Add(time.Hour)}
		if b, err := n.BeginExternal(t.Context(), e); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%q: %+v, %v", sub, b, err)
		}
		n.accepts(t, sub, header(authorization, "Bearer "+f.outsideToken(t, jwt.MapClaims{"sub": sub})), "")
	}
	for _, sub := range []string{"admin", "ann", "oidc:x"} {
		got, err := n.ask(t, header(authorization, "Bearer "+f.outsideToken(t, jwt.MapClaims{"sub": sub})))
		if err != nil || access.CheckLocalUser(got.User) == nil || got.Groups != nil {
			t.Errorf("%q: %+v, %v", sub, got, err)
		}
	}
	if page, _, err := n.users.List(t.Context(), "", "", 10); err != nil || len(page) != 0 {
		t.Errorf("users were created: %+v, %v", page, err)
	}
	if _, err := n.BeginExternal(t.Context(), auth.External{Provider: access.OIDC, Issuer: idp, Subject: "ann", Expires: f.Now()}); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("of an expired login: %v", err)
	}
}

// A user who lacks a claim that is required begins no session, and is not stored.
func TestLoginsNeedTheRequiredClaims(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	a := auth.NewAuthenticator(auth.Config{
		Users: f.nodes[0].users, Tokens: f.nodes[0].tokens, Sealer: f.nodes[0].sealer, Groups: mapped, Now: f.Now,
		Required: map[access.Provider]auth.Required{access.OIDC: {"groups": {"lake", "admins"}, "email_verified": {"true"}}, access.SAML: {}},
	})
	verified := []string{"true"}
	for name, tc := range map[string]struct {
		provider access.Provider
		claims   map[string][]string
		lacks    string // "": nothing
	}{
		"all":                        {access.OIDC, map[string][]string{"groups": {"others", "admins"}, "email_verified": verified}, ""},
		"no claims":                  {access.OIDC, nil, "email_verified"},
		"one of two":                 {access.OIDC, map[string][]string{"email_verified": verified}, "groups"},
		"another value":              {access.OIDC, map[string][]string{"groups": {"lakes", "Lake", ""}, "email_verified": verified}, "groups"},
		"the value of another claim": {access.OIDC, map[string][]string{"groups": verified, "email_verified": {"lake"}}, "email_verified"},
		"of a provider without":      {access.SAML, nil, ""},
	} {
		subject := strings.ReplaceAll(name, " ", "-")
		b, err := a.BeginExternal(t.Context(), auth.External{Provider: tc.provider, Issuer: idp, Subject: subject, Claims: tc.claims, Expires: f.Now().Add(time.Hour)})
		if tc.lacks == "" {
			expect.NoError(t, err)
			f.nodes[1].accepts(t, name, header("Cookie", cookie(b.Cookie(true))), b.Caller().User)
			continue
		}
		if !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), strconv.Quote(tc.lacks)) || strings.Contains(err.Error(), "lake") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if page, _, err := f.nodes[0].users.List(t.Context(), "", "", 10); err != nil || len(page) != 2 {
		t.Errorf("users are %+v, %v", page, err)
	}
}

// A token of an outside issuer is one only where that issuer is trusted.
func TestTokensOfOthersAreRefused(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	n := f.nodes[0]
	trusted := header(authorization, "Bearer "+f.outsideToken(t, nil))
	caller := n.accepts(t, "trusted", trusted, annOfIDP)
	for name, claims := range map[string]jwt.MapClaims{
		"own issuer": {"iss": "rangefleet"}, "another issuer": {"iss": "https://other.example.com/"}, "audience": {"aud": "login"}, "expired": {"exp": f.Now().Add(-time.Minute).Unix()},
	} {
		n.accepts(t, name, header(authorization, "Bearer "+f.outsideToken(t, claims)), "")
	}
	alone := coordinator{Authenticator: auth.NewAuthenticator(auth.Config{Users: n.users, Tokens: n.tokens, Sealer: n.sealer, Groups: mapped, Now: f.Now})}
	alone.accepts(t, "no outside issuer", trusted, "")
	for _, c := range []access.Caller{
		caller,
		{User: "ann", Credential: caller.Credential},
		{User: "saml" + annOfIDP[4:], Credential: caller.Credential},
		{User: strings.Replace(annOfIDP, "idp", "evil", 1), Credential: caller.Credential},
		{User: annOfIDP},
	} {
		for a, want := range map[*auth.Authenticator]bool{n.Authenticator: c.User == annOfIDP && c.Credential == caller.Credential, alone.Authenticator: false} {
			if ok, err := a.Stands(t.Context(), c); ok != want || err != nil {
				t.Errorf("Stands(%+v) = %t, %v, want %t", c, ok, err, want)
			}
		}
	}
}

func TestNobodyIsRefusedWhileTheBucketIsAway(t *testing.T) {
	f := newFleet(t, &kvtest.Memory{})
	a := f.ann(t)
	shown := map[string]http.Header{
		"key":    header(authorization, basic(a.id, a.secret)),
		"wrong":  header(authorization, basic(a.id, "x")),
		"token":  header(authorization, "Bearer "+a.begun.Token),
		"cookie": header("Cookie", cookie(a.begun.Cookie(true))),
	}
	f.Add(recent.MaxAge)
	f.bucket.err = errors.New("away")
	for _, n := range f.nodes {
		for what, h := range shown {
			if c, err := n.ask(t, h); !errors.Is(err, f.bucket.err) || c.User != "" {
				t.Errorf("%s: %+v, %v, want the bucket's error", what, c, err)
			}
		}
		n.accepts(t, "nothing", header(), "")
		n.accepts(t, "no cookie of ours", header("Cookie", string(session.Internal)+"=x"), "")
	}
}

// FuzzRead looks for a header that panics or proves somebody whom it should not.
func FuzzRead(f *testing.F) {
	fleet := newFleet(f, &kvtest.Memory{})
	a, n := fleet.ann(f), fleet.nodes[0]
	good := cookie(a.begun.Cookie(true))
	f.Add(basic(a.id, a.secret), "")
	f.Add("Bearer "+a.begun.Token, "")
	f.Add("", good)
	f.Add("Bearer", "internal_auth_session=; oidc_auth_session")
	f.Add("Basic Og==", "saml_auth_session=\"A\"")
	f.Fuzz(func(t *testing.T, value, cookies string) {
		h := http.Header{"Authorization": {value}, "Cookie": {cookies}}
		got, err := n.ask(t, h)
		if err != nil {
			if !errors.Is(err, auth.ErrUnauthenticated) {
				t.Errorf("%q, %q: %v", value, cookies, err)
			}
			return
		}
		decoded, _ := base64.StdEncoding.DecodeString(strings.Trim(value[min(len(value), len("Basic ")):], " "))
		proved := string(decoded) == a.id+":"+a.secret || strings.Contains(value, a.begun.Token) || strings.Contains(cookies, good[:len(good)-1])
		if got.User != "ann" || !proved {
			t.Errorf("%q, %q prove %+v", value, cookies, got)
		}
	})
}
