package doctor

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rangefleet/rangefleet/pkg/auth/oidclogin"
	"github.com/rangefleet/rangefleet/pkg/auth/samllogin"
	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

const areaLogin = "login"

// replaced is how long before its end a certificate of an identity provider should be replaced: it
// takes those who run the provider, too.
const replaced = 30 * 24 * time.Hour

// checkLogins checks the identity providers at which browsers log in.
func checkLogins(ctx context.Context, s settings.Settings) (all []Check) {
	if s.Auth.SAML.MetadataFile != "" {
		all = append(all, checkSAML(s, time.Now()))
	}
	if s.Auth.OIDC.Issuer != "" {
		all = append(all, checkOIDC(ctx, s))
	}
	return all
}

// checkSAML checks the metadata of a SAML provider as of now.
func checkSAML(s settings.Settings, now time.Time) Check {
	const name, renew = "auth.saml.metadata_file", "put the provider's new metadata into the file, and send the coordinators SIGHUP"
	file := s.Auth.SAML.MetadataFile
	metadata, err := os.ReadFile(file)
	if err != nil {
		return Check{areaLogin, name, Failed, err.Error(), "name a file of the provider's metadata"}
	}
	f, err := samllogin.FactsOf(metadata)
	if err != nil {
		return Check{areaLogin, name, Failed, file + ": " + err.Error(), "get the metadata of an identity provider, in XML, from those who run it"}
	}
	end := lastEnd(f, now)
	fleet := cmp.Or(s.Auth.SAML.EntityID, s.HTTP.PublicURL+samllogin.MetadataPath)
	text := fmt.Sprintf("provider %s logs in at %s, and knows this fleet as %s; ", f.EntityID, f.SignOn, fleet)
	if end.IsZero() {
		return Check{areaLogin, name, Failed, text + "none of its certificates is valid now, so that its responses are refused", renew}
	}
	text += "its last certificate is valid until " + end.UTC().Format(time.RFC3339)
	if end.Sub(now) < replaced {
		return Check{areaLogin, name, Warning, text, renew + ", before that"}
	}
	return Check{areaLogin, name, OK, text, ""}
}

// lastEnd returns when the last certificate that is valid now expires; zero if none is.
func lastEnd(f samllogin.Facts, now time.Time) (end time.Time) {
	for _, c := range f.Certificates {
		if !now.Before(c.NotBefore) && now.Before(c.NotAfter) && c.NotAfter.After(end) {
			end = c.NotAfter
		}
	}
	return end
}

// checkOIDC asks an OpenID Connect provider what logins ask it first.
func checkOIDC(ctx context.Context, s settings.Settings) Check {
	const name = "auth.oidc.issuer"
	o, back := s.Auth.OIDC, s.HTTP.PublicURL+oidclogin.CallbackPath
	l, err := oidclogin.New(oidclogin.Config{Issuer: o.Issuer, ClientID: o.ClientID, RedirectURL: back, Transport: connect.Provider(), Now: time.Now})
	if err != nil {
		return Check{areaLogin, name, Failed, err.Error(), "correct auth.oidc"}
	}
	keys, err := l.Probe(ctx)
	if err != nil {
		return Check{areaLogin, name, Failed, err.Error(), "set it exactly as the provider has it, and let this machine reach the provider"}
	}
	return Check{areaLogin, name, OK, fmt.Sprintf("%s answers (keys for tokens: %d); client %s must be allowed to return to %s", o.Issuer, keys, o.ClientID, back), ""}
}
