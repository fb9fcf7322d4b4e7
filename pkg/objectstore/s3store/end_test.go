package s3store

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestEndpointsOfAWS checks which endpoints are AWS's own, whose ends of listings are believed.
func TestEndpointsOfAWS(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"":                                   true,
		"https://s3.eu-west-1.amazonaws.com": true,
		"https://s3.dualstack.us-east-1.amazonaws.com/": true,
		"https://s3.cn-north-1.amazonaws.com.cn:443":    true,
		"http://127.0.0.1:9000":                         false,
		"https://amazonaws.com.example.org":             false,
		"https://s3amazonaws.com":                       false,
		"https://example.org/s3.amazonaws.com":          false,
		"://":                                           false,
	} {
		if got := isAWS(aws.String(endpoint)); got != want {
			t.Errorf("%q is one of AWS: %v, want %v", endpoint, got, want)
		}
	}
	if !isAWS(nil) {
		t.Error("no endpoint is not AWS's own")
	}
}
