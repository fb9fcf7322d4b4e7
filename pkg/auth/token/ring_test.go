package token_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/internal/testclock"
	"github.com/rangefleet/rangefleet/pkg/auth/recent"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func openRing(t testing.TB, bucket kv.Bucket, c *testclock.Clock) *token.Ring {
	t.Helper()
	r, err := token.OpenRing(t.Context(), bucket, c.Now)
	expect.NoError(t, err)
	return r
}

func issue(t testing.TB, r *token.Ring, c *testclock.Clock) string {
	t.Helper()
	text, err := r.Issue(t.Context(), token.Claims{User: "ann", Session: "s1", Expires: c.Now().Add(time.Hour)})
	expect.NoError(t, err)
	return text
}

func verifies(t testing.TB, r *token.Ring, text string, want bool) {
	t.Helper()
	got, err := r.Verify(t.Context(), text)
	if want && (err != nil || got.User != "ann" || got.Session != "s1") || !want && !errors.Is(err, token.ErrInvalid) {
		t.Errorf("Verify = %+v, %v, want success %t", got, err, want)
	}
}

// storedKeys returns the IDs of the keys in the bucket, and the secret of the newest.
func storedKeys(t testing.TB, bucket kv.Bucket) (ids []string, secret []byte) {
	t.Helper()
	var keys []struct {
		ID     string `json:"kid"`
		Secret []byte `json:"hs256"`
	}
	value, _, err := bucket.Get(t.Context(), "ring")
	expect.NoError(t, err)
	expect.NoError(t, json.Unmarshal(value, &keys))
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return ids, keys[len(keys)-1].Secret
}

func TestCoordinatorsVerifyEachOthersTokens(t *testing.T) {
	for name, bucket := range map[string]kv.Bucket{"memory": &kvtest.Memory{}, "jetstream": queuetest.Start(t).Bucket(kv.BucketAuth)} {
		t.Run(name, func(t *testing.T) {
			c := testclock.New()
			a, b := openRing(t, bucket, c), openRing(t, bucket, c)
			text := issue(t, a, c)
			verifies(t, b, text, true)
			got, err := b.Verify(t.Context(), text)
			if err != nil || !got.Issued.Equal(c.Now()) || !got.Expires.Equal(c.Now().Add(time.Hour)) {
				t.Errorf("Verify = %+v, %v", got, err)
			}
			verifies(t, openRing(t, &kvtest.Memory{}, c), text, false)
			long, err := a.Issue(t.Context(), token.Claims{User: "ann", Session: "s1", Expires: c.Now().Add(1000 * time.Hour)})
			expect.NoError(t, err)
			if got, err := a.Verify(t.Context(), long); err != nil || !got.Expires.Equal(c.Now().Add(token.MaxLife)) {
				t.Errorf("Verify = %+v, %v, want an expiration after MaxLife", got, err)
			}
		})
	}
}

func TestRotation(t *testing.T) {
	bucket, c := &kvtest.Memory{}, testclock.New()
	a, b := openRing(t, bucket, c), openRing(t, bucket, c)
	ctx, month := t.Context(), 30*24*time.Hour
	c.Add(month - time.Nanosecond)
	expect.NoError(t, a.Maintain(ctx))
	if ids, _ := storedKeys(t, bucket); len(ids) != 1 {
		t.Errorf("keys %q before a month has passed", ids)
	}
	c.Add(time.Nanosecond)
	old := issue(t, a, c)
	verifies(t, b, old, true)
	expect.NoError(t, a.Maintain(ctx))
	ids, _ := storedKeys(t, bucket)
	if kidOf(t, issue(t, a, c)) != ids[0] {
		t.Error("a new key signs before all know it")
	}
	c.Add(time.Minute)
	fresh := issue(t, a, c)
	if kidOf(t, fresh) != ids[1] {
		t.Error("the old key still signs")
	}
	verifies(t, b, fresh, true)
	verifies(t, b, old, true)
	c.Add(token.MaxLife)
	expect.NoError(t, b.Maintain(ctx))
	if ids, _ := storedKeys(t, bucket); len(ids) != 2 {
		t.Errorf("keys %q, want both, as clocks may differ", ids)
	}
	c.Add(time.Minute + 1)
	expect.NoError(t, b.Maintain(ctx))
	if left, _ := storedKeys(t, bucket); len(left) != 1 || left[0] != ids[1] {
		t.Errorf("keys %q, want the newer one", left)
	}
	c.Add(month)
	for _, r := range []*token.Ring{a, b, a} {
		expect.NoError(t, r.Maintain(ctx))
	}
	if left, _ := storedKeys(t, bucket); len(left) != 2 || left[0] != ids[1] {
		t.Errorf("keys %q, want another one after a month", left)
	}
}

func kidOf(t *testing.T, text string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(text, jwt.MapClaims{})
	expect.NoError(t, err)
	kid, _ := parsed.Header["kid"].(string)
	return kid
}

func TestReplacedKeysVerifyNothing(t *testing.T) {
	bucket, c := &kvtest.Memory{}, testclock.New()
	a, b := openRing(t, bucket, c), openRing(t, bucket, c)
	old := issue(t, a, c)
	verifies(t, b, old, true)
	expect.NoError(t, a.Replace(t.Context()))
	verifies(t, a, old, false)
	c.Add(recent.MaxAge)
	verifies(t, b, old, false)
	verifies(t, b, issue(t, a, c), true)
}

// forged are claims and a header that a test changes.
type forged struct {
	header map[string]any
	claims jwt.MapClaims
	method jwt.SigningMethod
	key    any
}

// TestOnlyOwnTokensVerify signs with the right key, except where a case says otherwise.
func TestOnlyOwnTokensVerify(t *testing.T) {
	bucket, c := &kvtest.Memory{}, testclock.New()
	r := openRing(t, bucket, c)
	ids, secret := storedKeys(t, bucket)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	expect.NoError(t, err)
	in := func(d time.Duration) int64 { return c.Now().Add(d).Unix() }
	for name, tc := range map[string]struct {
		change func(*forged)
		ok     bool
	}{
		"unchanged":               {func(*forged) {}, true},
		"no algorithm":            {func(f *forged) { f.method, f.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType }, false},
		"RS256 of an attacker":    {func(f *forged) { f.method, f.key = jwt.SigningMethodRS256, rsaKey }, false},
		"HS384":                   {func(f *forged) { f.method = jwt.SigningMethodHS384 }, false},
		"HS512":                   {func(f *forged) { f.method = jwt.SigningMethodHS512 }, false},
		"another key":             {func(f *forged) { f.key = make([]byte, 32) }, false},
		"an empty key":            {func(f *forged) { f.key = []byte{} }, false},
		"the key's ID as the key": {func(f *forged) { f.key = []byte(ids[0]) }, false},
		"an unknown key ID":       {func(f *forged) { f.header["kid"] = "x" }, false},
		"no key ID":               {func(f *forged) { delete(f.header, "kid") }, false},
		"a key ID of a number":    {func(f *forged) { f.header["kid"] = 1 }, false},
		"a critical extension":    {func(f *forged) { f.header["crit"] = []string{"x"} }, false},
		"no expiration":           {func(f *forged) { delete(f.claims, "exp") }, false},
		"a textual expiration":    {func(f *forged) { f.claims["exp"] = "later" }, false},
		"expired within leeway":   {func(f *forged) { f.claims["exp"] = in(-29 * time.Second) }, true},
		"expired":                 {func(f *forged) { f.claims["exp"] = in(-31 * time.Second) }, false},
		"not yet, within leeway":  {func(f *forged) { f.claims["nbf"] = in(30 * time.Second) }, true},
		"not yet":                 {func(f *forged) { f.claims["nbf"] = in(61 * time.Second) }, false},
		"issued a bit ahead":      {func(f *forged) { f.claims["iat"] = in(60 * time.Second) }, true},
		"issued in the future":    {func(f *forged) { f.claims["iat"] = in(61 * time.Second) }, false},
		"not issued":              {func(f *forged) { delete(f.claims, "iat") }, false},
		"for an auth client":      {func(f *forged) { f.claims["aud"] = "auth-client" }, false},
		"for a reset":             {func(f *forged) { f.claims["aud"] = "reset_password" }, false},
		"for nobody":              {func(f *forged) { delete(f.claims, "aud") }, false},
		"for a list":              {func(f *forged) { f.claims["aud"] = []string{"x", "login"} }, true},
		"of another issuer":       {func(f *forged) { f.claims["iss"] = "auth" }, false},
		"of no issuer":            {func(f *forged) { delete(f.claims, "iss") }, false},
		"of nobody":               {func(f *forged) { f.claims["sub"] = "" }, false},
		"of no subject":           {func(f *forged) { delete(f.claims, "sub") }, false},
		"without a session":       {func(f *forged) { delete(f.claims, "jti") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := forged{
				header: map[string]any{"alg": "", "typ": "JWT", "kid": ids[0]}, method: jwt.SigningMethodHS256, key: secret,
				claims: jwt.MapClaims{"iss": "rangefleet", "aud": "login", "sub": "ann", "jti": "s1", "iat": in(0), "exp": in(time.Hour)},
			}
			tc.change(&f)
			verifies(t, r, sign(t, f), tc.ok)
		})
	}
}

func sign(t testing.TB, f forged) string {
	t.Helper()
	f.header["alg"] = f.method.Alg()
	signed, err := (&jwt.Token{Header: f.header, Claims: f.claims, Method: f.method}).SignedString(f.key)
	expect.NoError(t, err)
	return signed
}

func TestHugeAndChangedTokensAreRefused(t *testing.T) {
	rnd, bucket, c := seeded.Rand(t), &kvtest.Memory{}, testclock.New()
	r := openRing(t, bucket, c)
	text := issue(t, r, c)
	huge := strings.Repeat("A", 1<<20)
	for _, text := range []string{
		"", ".", "..", "...", strings.Repeat(".", 1e6), huge, huge + "." + huge + ".", text + ".", "." + text, text + "=", text + "A",
		text[:strings.LastIndexByte(text, '.')+1], strings.ReplaceAll(text, ".", " "), "Bearer " + text, text + "\n",
		"bnVsbA.bnVsbA.bnVsbA", "e30.e30.e30", base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("[", 6000))) + ".e30.e30",
	} {
		verifies(t, r, text, false)
		if _, err := token.Issuer(text); err != nil && !errors.Is(err, token.ErrInvalid) {
			t.Errorf("Issuer(%.20q): %v", text, err)
		}
	}
	for range 2000 {
		changed := []byte(text)
		changed[rnd.IntN(len(changed))] ^= byte(1 + rnd.IntN(127))
		verifies(t, r, string(changed), false)
	}
	verifies(t, r, text, true)
	if iss, err := token.Issuer(text); iss != token.OwnIssuer || err != nil {
		t.Errorf("Issuer = %q, %v", iss, err)
	}
}

// broken is a bucket that does not answer.
type broken struct {
	kv.Bucket
	err error
}

func (b *broken) GetLinearized(ctx context.Context, key string) ([]byte, uint64, error) {
	if b.err != nil {
		return nil, 0, b.err
	}
	return b.Bucket.GetLinearized(ctx, key)
}

func TestNoTokenIsCalledInvalidWhileTheRingIsAway(t *testing.T) {
	bucket, c := &broken{Bucket: &kvtest.Memory{}}, testclock.New()
	r := openRing(t, bucket, c)
	text := issue(t, r, c)
	bucket.err = errors.New("away")
	c.Add(recent.MaxAge - 1)
	verifies(t, r, text, true)
	c.Add(1)
	if _, err := r.Verify(t.Context(), text); !errors.Is(err, bucket.err) || errors.Is(err, token.ErrInvalid) {
		t.Errorf("Verify: %v, want the bucket's error", err)
	}
	if _, err := r.Issue(t.Context(), token.Claims{}); !errors.Is(err, bucket.err) {
		t.Errorf("Issue: %v, want the bucket's error", err)
	}
	if _, err := token.OpenRing(t.Context(), bucket, c.Now); !errors.Is(err, bucket.err) {
		t.Errorf("OpenRing: %v, want the bucket's error", err)
	}
}

func TestARingThatCannotBeDecodedIsNotReplaced(t *testing.T) {
	for _, value := range []string{"", "{", "[]", "null", `[{"kid":"a","hs256":"AAAA"}]`, `[{"hs256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}]`} {
		bucket := &kvtest.Memory{}
		_, err := bucket.Create(t.Context(), "ring", []byte(value))
		expect.NoError(t, err)
		if _, err := token.OpenRing(t.Context(), bucket, testclock.New().Now); !fault.Is(err, fault.Broken) {
			t.Errorf("OpenRing of %q: %v", value, err)
		}
	}
}

// FuzzVerify looks for a token that verifies and was not issued, and for panics.
func FuzzVerify(f *testing.F) {
	bucket, c := &kvtest.Memory{}, testclock.New()
	r := openRing(f, bucket, c)
	outside := newIssuer(f, c)
	own, theirs := issue(f, r, c), outside.token(f, nil)
	for _, text := range []string{own, theirs, "", "..", "e30.e30.", "bnVsbA.bnVsbA.bnVsbA", own[:len(own)-1], strings.Replace(own, "e", "E", 1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := r.Verify(t.Context(), text); (err == nil) != (text == own) {
			t.Errorf("own Verify(%q): %v", text, err)
		}
		if _, err := outside.Verify(t.Context(), text); (err == nil) != (text == theirs) {
			t.Errorf("outside Verify(%q): %v", text, err)
		}
		_, _ = token.Issuer(text)
	})
}
