package settings

import (
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Roles are read from a sequence in a file, and what is printed can be read again.
func TestRoles(t *testing.T) {
	const file = `
sources:
  roles:
    - source: s3://lake/team-a/
      role_arn: arn:aws:iam::123456789012:role/team-a
      external_id: "0123"
    - {source: "s3://lake/team-b/", role_arn: "arn:aws:iam::123456789012:role/team-b", session_name: imports}
`
	s, _, err := given{file: file}.load(t)
	if err != nil {
		t.Fatal(err)
	}
	want := []Role{
		{Source: "s3://lake/team-a/", ARN: "arn:aws:iam::123456789012:role/team-a", ExternalID: "0123"},
		{Source: "s3://lake/team-b/", ARN: "arn:aws:iam::123456789012:role/team-b", SessionName: "imports"},
	}
	var printed strings.Builder
	if err := s.Print(&printed); err != nil {
		t.Fatal(err)
	}
	again, _, err := given{file: printed.String()}.load(t)
	if err != nil {
		t.Fatalf("%v in\n%s", err, printed.String())
	}
	for _, got := range [][]Role{s.Sources.Roles, again.Sources.Roles} {
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("roles are %+v, want %+v", got, want)
		}
	}
	table, err := s.Sources.Table()
	if err != nil {
		t.Fatal(err)
	}
	u := objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "lake", Key: "team-a/x/"}
	if session, ok, err := table.For(u, false); !ok || err != nil || session.Role.ExternalID != "0123" || session.Role.SessionName != "rangefleet" {
		t.Errorf("%+v, %t, %v", session, ok, err)
	}
}

// TestRolesThatAreNone lists what is refused. Roles of another store than AWS need its STS
// server, so that its credentials are not sent to AWS.
func TestRolesThatAreNone(t *testing.T) {
	const good = "{source: 's3://lake/', role_arn: 'arn:aws:iam::1:role/a'}"
	for file, want := range map[string]string{
		"sources.roles: [{source: 's3://lake/', arn: x}]":                             "field arn not found",
		"sources.roles: [{source: 's3://lake/a', role_arn: 'arn:aws:iam::1:role/a'}]": "sources.roles (file $CONFIG:1): source \"s3://lake/a\": want a '/' at its end",
		"sources.roles: [{source: 'gs://lake/', role_arn: 'arn:aws:iam::1:role/a'}]":  `sources.roles (file $CONFIG:1): "gs://lake/" has the unknown scheme`,
		"sources.roles: [{source: 's3://lake/'}]":                                     `role_arn ""`,
		"sources.roles: [" + good + ", " + good + "]":                                 "has two roles",
		"sources.roles: x":      "want a list of roles",
		"sources.roles: {a: b}": "want a single value",
		"{sources.roles: [" + good + "], s3.endpoint: 'http://minio:9000'}":  "sts.endpoint: \"\": not set, but sources.roles and s3.endpoint are",
		"{sources.roles: [" + good + "], sts.endpoint: 'ftp://u:hunter2@x'}": `sts.endpoint (file $CONFIG:1): "ftp://******@x": want http://`,
	} {
		_, path, err := given{file: file}.load(t)
		if want = strings.ReplaceAll(want, "$CONFIG", path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
}
