package access

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Admin is the name of the first user. It is always in the group Admins.
const Admin = "admin"

// Provider is a kind of identity provider. Names of its users start with it.
type Provider string

// The kinds of identity providers.
const (
	OIDC Provider = "oidc"
	SAML Provider = "saml"
)

func providers() []Provider { return []Provider{OIDC, SAML} }

var (
	localName = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9._@+:=-]{1,%d}$`, limits.Name))
	subject   = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9._@+:=|-]{1,%d}$`, limits.Name))
	issuer    = regexp.MustCompile(fmt.Sprintf(`^[!-{}~]{1,%d}$`, limits.Issuer)) // all of ASCII but '|' and what cannot be seen
)

const wantName = "want 1 to %d letters without accents, digits and . _ @ + : = -"

// checkName returns an error if a name is not valid for a policy, a group or a local user. No name
// has characters that mean something in a pattern or a path.
func checkName(name string) error {
	if !localName.MatchString(name) {
		return fmt.Errorf(wantName, limits.Name)
	}
	if name == "." || name == ".." { // no path of the API would lead to it
		return fmt.Errorf(wantName+", but not . or .. alone", limits.Name)
	}
	return nil
}

// CheckLocalUser returns an error if a name is not valid for a user that Rangefleet itself knows.
// Such a name differs from those of all users of identity providers.
func CheckLocalUser(name string) error {
	if p, ok := providerOf(name); ok {
		return fmt.Errorf("%s: starts the names of users of identity providers", p)
	}
	return checkName(name)
}

// ExternalUser returns the name of a user of an identity provider, by which it is known in
// policies, commits and logs. Users differ if their providers, issuers or subjects do. Characters
// that mean something in patterns or paths are written as '=' and two hexadecimal digits.
func ExternalUser(p Provider, iss, sub string) (string, error) {
	if err := checkIssuer(iss); err != nil {
		return "", fmt.Errorf("the issuer %.100q: %w", iss, err)
	}
	if !subject.MatchString(sub) {
		return "", fmt.Errorf("the subject %.100q: "+wantName+" and |", sub, limits.Name)
	}
	return string(p) + ":" + escape(iss+"|"+sub), nil
}

func checkIssuer(iss string) error {
	if !issuer.MatchString(iss) {
		return fmt.Errorf("want 1 to %d visible ASCII characters without |", limits.Issuer)
	}
	return nil
}

// parseUser returns the name of a user from how people write it: that of a local user, or
// oidc:<issuer>|<subject>.
func parseUser(text string) (string, error) {
	p, external := providerOf(text)
	if !external {
		return text, CheckLocalUser(text)
	}
	iss, sub, ok := strings.Cut(text[len(p)+1:], "|")
	if !ok || !strings.HasPrefix(text, string(p)) {
		return "", fmt.Errorf("want %s:<issuer>|<subject>", p)
	}
	return ExternalUser(p, iss, sub)
}

// checkUser returns an error if a name is none that CheckLocalUser accepts or ExternalUser
// returns.
func checkUser(name string) error {
	p, external := providerOf(name)
	if !external {
		return CheckLocalUser(name)
	}
	text, err := unescape(name[len(p)+1:])
	if err != nil {
		return err
	}
	if again, err := parseUser(string(p) + ":" + text); err != nil || again != name {
		return errors.New("not the name of a user of an identity provider")
	}
	return nil
}

// providerOf returns the provider that a name starts with, in letters of any case.
func providerOf(name string) (Provider, bool) {
	for _, p := range providers() {
		if n := len(p) + 1; len(name) >= n && strings.EqualFold(name[:n], string(p)+":") {
			return p, true
		}
	}
	return "", false
}

// escape writes all characters that names may not have, and '=', as '=' and two digits.
func escape(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c != '=' && localName.Match([]byte{c}) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// unescape is the inverse of escape. It accepts more than escape returns.
func unescape(name string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '=' {
			b.WriteByte(name[i])
			continue
		}
		if i+2 >= len(name) {
			return "", errors.New("want two digits after =")
		}
		c, err := hex.DecodeString(name[i+1 : i+3])
		if err != nil {
			return "", err
		}
		b.Write(c)
		i += 2
	}
	return b.String(), nil
}
