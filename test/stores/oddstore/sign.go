package oddstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// verify returns the access key ID of a request. It returns an error unless the request is signed
// with the secret by Signature Version 4.
func verify(r *http.Request) (id string, err error) {
	fields := make(map[string]string)
	rest, _ := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) < 5 {
		return "", errors.New("the request is not signed")
	}
	id, scope = strings.Join(scope[:len(scope)-4], "/"), scope[len(scope)-4:]
	names := strings.Split(fields["SignedHeaders"], ";")
	request := strings.Join([]string{
		r.Method, r.URL.EscapedPath(), canonicalQuery(r.URL.Query()), canonicalHeaders(r, names),
		fields["SignedHeaders"], r.Header.Get("X-Amz-Content-Sha256"),
	}, "\n")
	sum := hashed([]byte(request))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), strings.Join(scope, "/"), hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + SecretAccessKey)
	for _, part := range append(scope, toSign) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if hex.EncodeToString(key) != fields["Signature"] {
		return id, errors.New("the signature does not match")
	}
	return id, nil
}

func canonicalQuery(q url.Values) string {
	var pairs []string
	for name, values := range q {
		for _, value := range values {
			pairs = append(pairs, queryEscape(name)+"="+queryEscape(value))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func queryEscape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// canonicalHeaders returns a line for each header.
func canonicalHeaders(r *http.Request, names []string) string {
	var b strings.Builder
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		b.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	return b.String()
}

func hashed(text []byte) [sha256.Size]byte { return sha256.Sum256(text) }
