package mix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// Request is a request, in which {host}, {repo} and {session} stand for Names.
type Request struct {
	method  string
	target  string
	host    string   // "": {host}
	header  []string // lines
	body    string
	chunked bool
	sign    signature
	text    string // if not "", the request as it is written
}

// signature is how a request of S3 is signed.
type signature int

const (
	unsigned signature = iota
	signed
	signedWrong // by another secret
	signedInQuery
)

// Names are what requests are made for.
type Names struct {
	Host    string // and port of the server
	Repo    string // the repository
	Session string // of lakeFS's cookie
}

func (n Names) fill(text string) string {
	return strings.NewReplacer("{host}", n.Host, "{repo}", n.Repo, "{session}", n.Session).Replace(text)
}

// Method returns the method of the request.
func (r Request) Method() string { return r.method }

// IsConfig reports whether lakeFS's configuration is asked for.
func (r Request) IsConfig() bool { return r.method == "GET" && r.target == "/api/v1/config" }

// Write returns the request as it is sent, signed now if it is of S3.
func (r Request) Write(n Names) string {
	if r.text != "" {
		return n.fill(r.text)
	}
	host := r.host
	if host == "" {
		host = n.Host
	}
	target, lines := n.fill(r.target), []string{"Host: " + host}
	for _, line := range r.header {
		lines = append(lines, n.fill(line))
	}
	body := n.fill(r.body)
	if r.sign != unsigned {
		var more []string
		target, more = r.sign.of(r.method, host, target, body)
		lines = append(lines, more...)
	}
	if r.chunked {
		lines = append(lines, "Transfer-Encoding: chunked")
		if body != "" {
			body = fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
		}
		body += "0\r\n\r\n"
	} else if body != "" || r.method == "POST" || r.method == "PUT" {
		lines = append(lines, "Content-Length: "+strconv.Itoa(len(body)))
	}
	return r.method + " " + target + " HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// of signs a request. It returns the target and the lines of the header to send.
func (s signature) of(method, host, target, body string) (string, []string) {
	u, err := url.Parse("http://" + host + target)
	if err != nil {
		return target, nil
	}
	r := &http.Request{Method: method, URL: u, Host: host, Header: http.Header{}, ContentLength: int64(len(body))}
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	keys := aws.Credentials{AccessKeyID: lakefstest.Admin.AccessKeyID, SecretAccessKey: lakefstest.Admin.SecretAccessKey}
	if s == signedWrong {
		keys.SecretAccessKey = "wrong"
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if s == signedInQuery {
		query := u.Query()
		query.Set("X-Amz-Expires", "600")
		u.RawQuery = query.Encode()
		presigned, _, err := signer.PresignHTTP(context.Background(), keys, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now())
		if err != nil {
			return target, nil
		}
		return strings.TrimPrefix(presigned, "http://"+host), nil
	}
	r.Header.Set("X-Amz-Content-Sha256", hash)
	if signer.SignHTTP(context.Background(), keys, r, hash, "s3", "us-east-1", time.Now()) != nil {
		return target, nil
	}
	var lines []string
	for name := range r.Header {
		lines = append(lines, name+": "+r.Header.Get(name))
	}
	return target, lines
}
