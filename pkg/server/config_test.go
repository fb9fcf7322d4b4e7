package server

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// openOperations are those that need no credentials.
var openOperations = []exchange{
	{"health check", "GET", "/api/v1/healthcheck", "", nil, 204, ""},
	{"setup state", "GET", "/api/v1/setup_lakefs", "", nil, 200, `{"comm_prefs_missing":false,"login_config":{"RBAC":"external","login_cookie_names":["internal_auth_session","oidc_auth_session","saml_auth_session"],"login_url":"","login_url_method":"none","logout_url":"/logout"},"state":"initialized"}`},
	{"setup", "POST", "/api/v1/setup_lakefs", `{"username":"admin"}`, nil, 409, `{"message":"lakeFS already initialized"}`},
	{"capabilities", "GET", "/api/v1/auth/capabilities", "", nil, 200, `{"forgot_password":false,"invite_user":false}`},
	{"callback", "GET", "/api/v1/oidc/callback", "", nil, 501, `{"message":"oauthCallback is not supported: no provider is set up (auth.oidc.issuer)"}`},
	{"login", "POST", "/api/v1/auth/login", `{"access_key_id":"AKIAEXAMPLE","secret_access_key":"wrong"}`, nil, 401, `{"message":"error authenticating request"}`},
}

func TestOpenOperations(t *testing.T) {
	for _, x := range openOperations {
		for name, header := range map[string]http.Header{
			"none":  {"Authorization": nil},
			"wrong": {"Authorization": {basic(testKey, "wrong")}},
			"right": nil,
		} {
			t.Run(x.name+" with credentials: "+name, func(t *testing.T) {
				x.header = header
				x.run(t, newFixture(t))
			})
		}
	}
}

func TestConfig(t *testing.T) {
	version := `{"version":"` + buildinfo.Version() + `","version_context":"lakeFS"}`
	const storage = `{"blockstore_description":"","blockstore_id":"","blockstore_namespace_ValidityRegex":"^(s3://)","blockstore_namespace_example":"s3://example-bucket/","blockstore_type":"s3","default_namespace_prefix":"","import_support":true,"import_validity_regex":"^(s3://)","pre_sign_multipart_upload":false,"pre_sign_support":false,"pre_sign_support_ui":false}`
	for _, x := range []exchange{
		{"config", "GET", "/api/v1/config", "", nil, 200, `{"capabilities_config":{},"storage_config":` + storage + `,"storage_config_list":[],"ui_config":{},"version_config":` + version + `}`},
		{"version", "GET", "/api/v1/config/version", "", nil, 200, version},
		{"storage", "GET", "/api/v1/config/storage", "", nil, 200, storage},
		{"user", "GET", "/api/v1/user", "", nil, 200, `{"user":{"creation_date":0,"friendly_name":"admin","id":"admin"}}`},
		{"statistics", "POST", "/api/v1/statistics", `{"events":[{"class":"lakectl","name":"import","count":1}]}`, nil, 204, ""},
		{"statistics, no body", "POST", "/api/v1/statistics", "", nil, 400, `{"message":"request body has an error: value is required but missing"}`},
		{"statistics, no class", "POST", "/api/v1/statistics", `{"events":[{"class":"","name":"n","count":1}]}`, nil, 400, `{"message":"request body has an error: events[0].class: value is required but missing"}`},
		{"statistics, no name", "POST", "/api/v1/statistics", `{"events":[{"class":"c","name":"","count":1}]}`, nil, 400, `{"message":"request body has an error: events[0].name: value is required but missing"}`},
		{"statistics, negative", "POST", "/api/v1/statistics", `{"events":[{"class":"c","name":"n","count":-1}]}`, nil, 400, `{"message":"request body has an error: events[0].count: -1 is negative"}`},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, newFixture(t)) })
	}
}

// Clients match URIs with the expressions before they send them.
func TestStorageConfig(t *testing.T) {
	uris := func(texts string) (parsed []objectstore.URI) {
		for text := range strings.FieldsSeq(texts) {
			uri, err := objectstore.ParseURI(text)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, uri)
		}
		return parsed
	}
	for _, c := range []struct {
		storage         Storage
		kind, example   string
		match, mismatch string // sources
	}{
		{
			Storage{},
			"s3", "s3://example-bucket/",
			"s3://b s3://b/k", "local:///d gs://b xs3://b",
		},
		{
			Storage{Local: []string{"/d.e", "/f/"}},
			"s3", "s3://example-bucket/",
			"s3://b local:///d.e local:///d.e/x local:///f local:///f/x", "local:///d.ex local:///dxe local:///fx",
		},
		{
			Storage{Local: []string{"/"}},
			"s3", "s3://example-bucket/",
			"local:/// local:///a", "gs://b/",
		},
		{
			Storage{Sources: uris("s3://b s3://c/k local:///d/"), Namespaces: uris("s3://n/x"), Local: []string{"/e"}},
			"s3", "s3://n/x",
			"s3://b s3://b/ s3://b/x s3://c/k s3://c/key local:///d/x", "s3://bc s3://c s3://c/x local:///d local:///e/ s3://n/x",
		},
		{
			Storage{Namespaces: uris("local:///d/ local:///e/")},
			"local", "local:///d/",
			"s3://b", "",
		},
	} {
		got := c.storage.config()
		if got.BlockstoreType != c.kind || got.BlockstoreNamespaceExample != c.example {
			t.Errorf("%+v: type %q, example %q", c.storage, got.BlockstoreType, got.BlockstoreNamespaceExample)
		}
		if !regexp.MustCompile(got.BlockstoreNamespaceValidityRegex).MatchString(got.BlockstoreNamespaceExample) {
			t.Errorf("%+v: the example does not match %q", c.storage, got.BlockstoreNamespaceValidityRegex)
		}
		source := regexp.MustCompile(got.ImportValidityRegex)
		for uri := range strings.FieldsSeq(c.match) {
			if !source.MatchString(uri) {
				t.Errorf("%s does not match %s", uri, source)
			}
		}
		for uri := range strings.FieldsSeq(c.mismatch) {
			if source.MatchString(uri) {
				t.Errorf("%s matches %s", uri, source)
			}
		}
	}
}
