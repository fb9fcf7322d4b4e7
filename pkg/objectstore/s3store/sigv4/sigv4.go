// Package sigv4 signs GET requests with AWS Signature Version 4, without an
// allocation. The SDK's signer, with which its tests compare it, makes a hundred
// for each request.
//
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"
)

// EmptyHash is the SHA-256 of no bytes: the value of the header
// X-Amz-Content-Sha256, which a request that is signed here must have.
const EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// timeFormat is that of the header x-amz-date.
const timeFormat = "20060102T150405Z"

// Credentials are what a request is signed with. Token is empty for credentials that do
// not expire.
type Credentials struct{ ID, Secret, Token string }

// Scope is what a signature is valid for, besides its day.
type Scope struct{ Region, Service string }

// Request is a GET request.
type Request struct {
	Host  string // as in the header
	Path  string // escaped, as it is sent
	Query []byte // as it is sent: sorted by names, escaped by AppendEscaped
	Time  time.Time
}

// Signer signs requests. It caches the signing key of the last day and credentials. The
// zero value is ready for use. It is for one goroutine.
type Signer struct {
	credentials Credentials
	scope       Scope
	day         string
	key         hash.Hash // HMAC with the signing key of the above
	sum         hash.Hash
	hashed      [sha256.Size]byte // scratch, as are:
	buf, date   []byte
}

// Sign returns the values of the headers X-Amz-Date and Authorization of a request,
// which live until the next call. The signature covers these and the headers Host,
// X-Amz-Content-Sha256 and, if the credentials have a token, X-Amz-Security-Token.
func (s *Signer) Sign(r Request, c Credentials, scope Scope) (date, authorization []byte) {
	s.date = r.Time.UTC().AppendFormat(s.date[:0], timeFormat)
	if day := s.date[:len("20060102")]; s.key == nil || s.credentials != c || s.scope != scope || s.day != string(day) {
		s.rekey(c, scope, string(day))
	}
	s.key.Reset()
	s.key.Write(s.toSign(r, c))
	s.key.Sum(s.hashed[:0])
	b := append(append(s.buf[:0], "AWS4-HMAC-SHA256 Credential="...), c.ID...)
	b = s.appendScope(append(b, '/'))
	b = append(append(b, ", SignedHeaders="...), signedHeaders(c)...)
	s.buf = hex.AppendEncode(append(b, ", Signature="...), s.hashed[:])
	return s.date, s.buf
}

// rekey derives the signing key of a day.
func (s *Signer) rekey(c Credentials, scope Scope, day string) {
	key := []byte("AWS4" + c.Secret)
	for _, part := range []string{day, scope.Region, scope.Service, "aws4_request"} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	s.credentials, s.scope, s.day = c, scope, day
	s.key, s.sum = hmac.New(sha256.New, key), sha256.New()
}

func (s *Signer) appendScope(dst []byte) []byte {
	dst = append(append(dst, s.day...), '/')
	dst = append(append(dst, s.scope.Region...), '/')
	return append(append(dst, s.scope.Service...), "/aws4_request"...)
}

func signedHeaders(c Credentials) string {
	if c.Token != "" {
		return "host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
	}
	return "host;x-amz-content-sha256;x-amz-date"
}

// toSign returns the string to sign.
func (s *Signer) toSign(r Request, c Credentials) []byte {
	b := append(append(s.buf[:0], "GET\n"...), r.Path...)
	b = append(append(append(b, '\n'), r.Query...), "\nhost:"...)
	b = append(append(b, r.Host...), "\nx-amz-content-sha256:"+EmptyHash+"\nx-amz-date:"...)
	b = append(append(b, s.date...), '\n')
	if c.Token != "" {
		b = append(append(append(b, "x-amz-security-token:"...), c.Token...), '\n')
	}
	b = append(append(append(b, '\n'), signedHeaders(c)...), "\n"+EmptyHash...)
	s.sum.Reset()
	s.sum.Write(b)
	s.sum.Sum(s.hashed[:0])
	b = append(append(b[:0], "AWS4-HMAC-SHA256\n"...), s.date...)
	b = append(s.appendScope(append(b, '\n')), '\n')
	s.buf = hex.AppendEncode(b, s.hashed[:])
	return s.buf
}

// AppendEscaped appends text, escaped as a name or value of a query.
func AppendEscaped(dst []byte, text string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}
