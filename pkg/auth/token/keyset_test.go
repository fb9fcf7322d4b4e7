package token

import "testing"

// FuzzParseKeySet looks for key sets that make the parser panic, or that give a key for an
// algorithm that is no signature by a private key.
func FuzzParseKeySet(f *testing.F) {
	for _, text := range []string{
		"", "{}", `{"keys":[]}`, `{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]}`,
		`{"keys":[{"kty":"EC","kid":"a","crv":"P-256","x":"AA","y":"AA"}]}`,
		`{"keys":[{"kty":"OKP","kid":"a","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		`{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"},{"kty":"RSA","kid":"a","n":"","e":""}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeySet(text)
		for _, k := range keys {
			if alg, ok := algorithm(k.key); err != nil || !ok || alg != k.alg {
				t.Errorf("%q: %+v, %v", text, k, err)
			}
		}
	})
}
