package settings

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretDoesNotPrint(t *testing.T) {
	s := Settings{Auth: Auth{AccessKeyID: "AK", SecretAccessKey: NewSecret("s3cr3t")}, NATS: NATS{URL: "nats://joe:s3cr3t@n1,nats://s3cr3t@n2,joe:s3cr3t@n3:1"}}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		fmt.Fprintf(&out, verb+"\n", s.Auth)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "secret", s.Auth.SecretAccessKey, "auth", s.Auth)
	if err := json.NewEncoder(&out).Encode(s.Auth); err != nil {
		t.Fatal(err)
	}
	if err := s.Print(&out); err != nil {
		t.Fatal(err)
	}
	out.WriteString(s.NATS.ShownURL())
	if got := out.String(); strings.Contains(got, "s3cr3t") || strings.Contains(got, "733363723374") {
		t.Errorf("the secret was printed:\n%s", got)
	}
	if !strings.Contains(out.String(), "AK") || !strings.Contains(out.String(), "nats://******@n1,nats://******@n2,******@n3:1") {
		t.Errorf("what is not secret was not printed:\n%s", out.String())
	}
}

// A login or a token that stands in a URL where none is wanted is not printed either.
func TestURLsArePrintedWithoutSecrets(t *testing.T) {
	var s Settings
	s.Access.File = "https://joe:s3cr3t@host/rules"
	s.Auth.JWT.JWKS = "https://idp/keys?token=s3cr3t"
	var out strings.Builder
	if err := s.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"https://******@host/rules", "https://idp/keys?token=******"} {
		if got := out.String(); strings.Contains(got, "s3cr3t") || !strings.Contains(got, want) {
			t.Errorf("want %s in\n%s", want, got)
		}
	}
}
