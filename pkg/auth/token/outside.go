package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// OutsideConfig is what the verification of an outside issuer's tokens is made of. All fields
// are required.
type OutsideConfig struct {
	Issuer   string // as the tokens have it, exactly
	Audience string // that the tokens must name
	// Keys is where the issuer's public keys are, as a JSON Web Key Set: an https URL, an
	// http URL of this machine, or the path of a file.
	Keys      string
	Transport http.RoundTripper // for URLs
	Now       func() time.Time
}

// Outside verifies the tokens of an outside issuer. Its methods may be called concurrently.
type Outside struct {
	cfg    OutsideConfig
	keys   *keySet
	parser *jwt.Parser
}

// Subject is whom a token of an outside issuer is about. Nothing of it was checked further:
// it may contain any characters.
type Subject struct {
	ID      string              // never empty
	Token   string              // the token's ID; "" if it has none
	Claims  map[string][]string // all claims that are a string, a boolean, or a list that has strings
	Expires time.Time
}

// NewOutside returns a verifier, which has not fetched keys yet.
func NewOutside(c OutsideConfig) (*Outside, error) {
	if c.Issuer == "" || c.Issuer == ownIssuer {
		return nil, fmt.Errorf("%q cannot be the issuer", c.Issuer)
	}
	if c.Audience == "" {
		return nil, errors.New("an audience is required: without one, tokens for other services would be accepted")
	}
	fetch, err := fetcher(c.Keys, c.Transport)
	if err != nil {
		return nil, err
	}
	return &Outside{
		cfg: c, keys: newKeySet(c.Now, fetch),
		parser: parser(c.Issuer, c.Audience, c.Now, "RS256", "ES256", "EdDSA"),
	}, nil
}

// Issuer returns the issuer.
func (o *Outside) Issuer() string { return o.cfg.Issuer }

// Fetch fetches the issuer's keys now, within five seconds, and returns how many of them can verify
// tokens. Verify does not need it.
func (o *Outside) Fetch(ctx context.Context) (keys int, err error) {
	if keys, err = o.keys.fetchNow(ctx); err != nil {
		return 0, fmt.Errorf("fetch the keys of the issuer of tokens: %w", err)
	}
	return keys, nil
}

// Verify returns what a token says, or ErrInvalid. Tokens need an ID of their key, an
// expiration, and a subject.
func (o *Outside) Verify(ctx context.Context, text string) (Subject, error) {
	c := jwt.MapClaims{}
	err := verify(o.parser, text, c, o.cfg.Now(), func(kid, alg string) (any, error) { return o.keys.find(ctx, kid, alg) })
	if err != nil {
		return Subject{}, err
	}
	s := Subject{Claims: make(map[string][]string)}
	for name, claim := range c {
		if all := texts(claim); len(all) > 0 {
			s.Claims[name] = all
		}
	}
	s.ID, _ = c.GetSubject()
	s.Token, _ = c["jti"].(string)
	if expires, err := c.GetExpirationTime(); err == nil && expires != nil {
		s.Expires = expires.Time
	}
	return s, nil
}

// texts returns the strings of a claim. A boolean is "true" or "false". What is neither is left out.
func texts(claim any) (all []string) {
	switch claim := claim.(type) {
	case string:
		return []string{claim}
	case bool:
		return []string{strconv.FormatBool(claim)}
	case []any:
		for _, v := range claim {
			if text, ok := v.(string); ok {
				all = append(all, text)
			}
		}
	}
	return all
}
