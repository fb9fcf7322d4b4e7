// Package redact hides the secrets that URLs may hold, in texts that are logged or answered.
package redact

import "regexp"

// hidden stands for a secret.
const hidden = "******"

var (
	// login matches the user, with or without a password, of a URL with a scheme.
	login = regexp.MustCompile(`://[^/?#\s"]*@`)
	// parameter matches a parameter of a query that proves something: a signature, a token or a
	// code.
	parameter = regexp.MustCompile(`(?i)([?&](?:X-Amz-Signature|X-Amz-Security-Token|X-Amz-Credential|Signature|AWSAccessKeyId|sig|code|state|token|access_token|id_token|SAMLResponse)=)[^&#\s"]+`)
)

// URLs returns a text without the logins and the secret parameters of URLs in it.
func URLs(text string) string {
	return parameter.ReplaceAllString(login.ReplaceAllString(text, "://"+hidden+"@"), "${1}"+hidden)
}
