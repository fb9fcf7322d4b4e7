package node

import (
	"reflect"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

func TestRequiredClaims(t *testing.T) {
	var s settings.Auth
	if got, want := required(s), (map[access.Provider]auth.Required{access.OIDC: {}, access.SAML: {}}); !reflect.DeepEqual(got, want) {
		t.Errorf("without settings: %v", got)
	}
	s.OIDC.RequiredClaims = []string{"groups=a", "email_verified=true", "groups=b=c"}
	s.SAML.RequiredAttributes = []string{"urn:oid:1.3=CN=lake,OU=groups"}
	want := map[access.Provider]auth.Required{
		access.OIDC: {"groups": {"a", "b=c"}, "email_verified": {"true"}},
		access.SAML: {"urn:oid:1.3": {"CN=lake,OU=groups"}},
	}
	if got := required(s); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
