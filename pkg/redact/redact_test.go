package redact_test

import (
	"testing"

	"github.com/rangefleet/rangefleet/pkg/redact"
)

func TestURLs(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"s3://AKID:secret@bucket/a@b", "s3://******@bucket/a@b"},
		{"s3://secret@bucket", "s3://******@bucket"},
		{`no route to "nats://me:p@ss@h:4222", nor to http://u@x`, `no route to "nats://******@h:4222", nor to http://******@x`},
		{"s3://bucket/users/ann@example.com?x=1", "s3://bucket/users/ann@example.com?x=1"},
		{"GET https://b.s3/k?X-Amz-Date=1&X-Amz-Signature=abc&x-amz-security-token=d%2Fe#f", "GET https://b.s3/k?X-Amz-Date=1&X-Amz-Signature=******&x-amz-security-token=******#f"},
		{"/oidc/callback?code=abc&state=def", "/oidc/callback?code=******&state=******"},
		{"https://a.blob.core.windows.net/c?sv=1&sig=abc", "https://a.blob.core.windows.net/c?sv=1&sig=******"},
		{"arn:lakefs:fs:::repository/a?b", "arn:lakefs:fs:::repository/a?b"},
		{"me@example.com, 5 signatures, key=code=x", "me@example.com, 5 signatures, key=code=x"},
	} {
		if got := redact.URLs(tc.text); got != tc.want {
			t.Errorf("%q becomes %q, want %q", tc.text, got, tc.want)
		}
	}
}
